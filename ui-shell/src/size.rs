//! Restores and reports the window's size, and removes properties that would reveal the sandbox's host name.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use gtk::gdk;
use gtk::prelude::*;
use regen_proto::kernel::v1::user_command::Body as Command;
use regen_proto::kernel::v1::{UiShellConfiguration, WindowSize};

use crate::broker_channel::Sender;

/// Size of the window in a new profile.
const FIRST: (i32, i32) = (1280, 860);
/// Time without a change after which the size is reported.
const SETTLED: Duration = Duration::from_millis(500);
/// Properties removed from the window. The sandbox has a host name and process ids of its own; window managers would
/// take the window for a remote one and put that host name into its title.
const FOREIGN: [&str; 2] = ["WM_CLIENT_MACHINE", "_NET_WM_PID"];

/// Gives a window that is not shown yet the size that the last one had.
pub(crate) fn restore(window: &gtk::Window, configuration: &UiShellConfiguration) {
    let side = |side: u32| i32::try_from(side).ok().filter(|side| *side > 0);
    let (width, height) = side(configuration.width).zip(side(configuration.height)).unwrap_or(FIRST);
    window.set_default_size(width, height);
    if configuration.maximized {
        window.maximize();
    }
    window.connect_realize(|window| {
        let Some(own) = window.window() else { return };
        // Some window managers read the properties from the leader window.
        let leader = own.display().default_group();
        for name in FOREIGN {
            gdk::property_delete(&own, &gdk::Atom::intern(name));
            gdk::property_delete(&leader, &gdk::Atom::intern(name));
        }
    });
}

/// Reports each new size of the window to the broker.
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
