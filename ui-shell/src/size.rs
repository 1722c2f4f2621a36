//! Size and name of the window: as its user left it, and without a word of the sandbox that it runs in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use gtk::gdk;
use gtk::prelude::*;
use regen_proto::kernel::v1::user_command::Body as Command;
use regen_proto::kernel::v1::{Configure, WindowSize};

use crate::broker_channel::Sender;

/// Size of the first window.
const FIRST: (i32, i32) = (1280, 860);
/// A size that has not changed for this long is told.
const SETTLED: Duration = Duration::from_millis(500);
/// Window managers write a foreign machine's name into the title; a sandbox has a name of its own. Its numbers of processes are
/// not the machine's either.
const FOREIGN: [&str; 2] = ["WM_CLIENT_MACHINE", "_NET_WM_PID"];

/// Gives a window that is not shown yet the size of the one before.
pub(crate) fn restore(window: &gtk::Window, configure: &Configure) {
    let side = |side: u32| i32::try_from(side).ok().filter(|side| *side > 0);
    let (width, height) = side(configure.width).zip(side(configure.height)).unwrap_or(FIRST);
    window.set_default_size(width, height);
    if configure.maximized {
        window.maximize();
    }
    window.connect_realize(|window| {
        let Some(own) = window.window() else { return };
        // Some window managers read them from the leader window.
        let leader = own.display().default_group();
        for name in FOREIGN {
            gdk::property_delete(&own, &gdk::Atom::intern(name));
            gdk::property_delete(&leader, &gdk::Atom::intern(name));
        }
    });
}

/// Tells the broker of each size that the user gives the window.
pub(crate) fn connect(window: &gtk::Window, sender: Sender) {
    let last = Rc::new(Cell::new((0, 0)));
    let waiting: Rc<RefCell<Option<glib::SourceId>>> = Rc::default();
    let tell = move |window: &gtk::Window| {
        let maximized = window.is_maximized();
        let fills = window.window().is_some_and(|own| own.state().contains(gdk::WindowState::FULLSCREEN));
        if !maximized && !fills {
            last.set(window.size());
        }
        let (width, height) = last.get();
        if let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height))
            && !fills
        {
            sender.command(Command::WindowSize(WindowSize { width, height, maximized }));
        }
    };
    let tell = Rc::new(tell);
    window.connect_size_allocate(move |window, _| {
        let (window, tell, done) = (window.clone(), Rc::clone(&tell), Rc::clone(&waiting));
        let later = glib::timeout_add_local_once(SETTLED, move || {
            done.take();
            tell(&window);
        });
        if let Some(earlier) = waiting.replace(Some(later)) {
            earlier.remove();
        }
    });
}
