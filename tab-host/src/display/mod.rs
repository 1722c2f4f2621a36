//! The tab-host's own display server. Its only clients are GTK and the web processes. Nothing outside the sandbox can
//! reach it, and it reaches nothing outside.
//!
//! One thread, one event loop. Surfaces are composed in software into sealed memory that the window reads and never maps.

mod buffers;
mod clipboard;
mod compose;
mod handlers;
mod input;
mod pixels;
mod text_input;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regen_proto::kernel::v1::TabHostConfiguration;
use regen_proto::page::v1::{FromPage, ToPage, from_page};
use smithay::input::keyboard::{KeyboardHandle, XkbConfig};
use smithay::input::pointer::PointerHandle;
use smithay::input::{Seat, SeatState};
use smithay::output::{Mode as OutputMode, Output, PhysicalProperties, Scale, Subpixel};
use smithay::reexports::calloop::channel::{Channel, Event as ChannelEvent, Sender, channel};
use smithay::reexports::calloop::generic::Generic;
use smithay::reexports::calloop::timer::{TimeoutAction, Timer};
use smithay::reexports::calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Display, DisplayHandle};
use smithay::wayland::compositor::CompositorState;
use smithay::wayland::output::OutputManagerState;
use smithay::wayland::selection::data_device::DataDeviceState;
use smithay::wayland::shell::xdg::{PopupSurface, ToplevelSurface, XdgShellState};
use smithay::wayland::shm::ShmState;
use smithay::wayland::socket::ListeningSocketSource;
use tokio::sync::{mpsc, oneshot};

use crate::sender::BrokerSender;
use buffers::ViewBuffers;
use handlers::ClientState;
use text_input::TextInputs;

/// ID of a view, which is its tab's ID.
pub(crate) type ViewId = u64;

/// Title prefix of a view's GTK window. The view's ID follows it and identifies the surface.
pub(crate) const VIEW_TITLE: &str = "view:";

/// Duration of a frame at 60 Hz.
const FRAME: Duration = Duration::from_millis(16);

/// Pixels of a view, for a screenshot.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bgra: Vec<u8>,
}

/// Command to the display.
#[derive(Debug)]
pub(crate) enum DisplayCommand {
    /// Input, geometry and other messages of the window about a page.
    Page(ToPage),
    /// Attaches the window's stream; replaces an earlier one.
    Attach(mpsc::Sender<WindowMessage>),
    /// Requests the next complete picture of a view.
    Capture(ViewId, oneshot::Sender<Picture>),
    /// Sends the window an event of the engine about a page.
    TellWindow(ViewId, from_page::Body),
    /// Requests an answer when all earlier input has been sent to the page.
    Delivered(ViewId, oneshot::Sender<()>),
    /// Restricts views to few sizes.
    Letterbox,
    /// Holds the window's frame of a view (true), or resumes frames (false).
    Hold(ViewId, bool),
    /// Removes a closed view.
    Forget(ViewId),
}

/// Handle of the display's thread.
#[derive(Debug, Clone)]
pub(crate) struct DisplayHandleTo(Sender<DisplayCommand>);

impl DisplayHandleTo {
    pub(crate) fn send(&self, command: DisplayCommand) {
        // Fails only when the process is ending.
        let _ = self.0.send(command);
    }
}

/// A message for the window, with the memory of a buffer that it announces.
pub(crate) type WindowMessage = (FromPage, Option<OwnedFd>);

/// Surfaces and buffers of one tab.
#[derive(Debug)]
pub(crate) struct View {
    toplevel: Option<ToplevelSurface>,
    dialogs: Vec<ToplevelSurface>,
    popups: Vec<PopupSurface>,
    /// Popups that take all input, such as menus; a tooltip takes none.
    menus: Vec<PopupSurface>,
    width: u32,
    height: u32,
    scale: u32,
    buffers: ViewBuffers,
    captures: Vec<oneshot::Sender<Picture>>,
    waiting_input: Vec<ToPage>,
    waiting_answers: Vec<oneshot::Sender<()>>,
    /// Set while the window keeps the frame that it has.
    is_held: bool,
}

/// Compositor of all views.
pub(crate) struct Compositor {
    display: DisplayHandle,
    handle: LoopHandle<'static, Self>,
    compositor_state: CompositorState,
    xdg_shell_state: XdgShellState,
    shm_state: ShmState,
    seat_state: SeatState<Self>,
    data_device_state: DataDeviceState,
    text_inputs: TextInputs,
    _output_manager: OutputManagerState,
    output: Output,
    seat: Seat<Self>,
    keyboard: KeyboardHandle<Self>,
    pointer: PointerHandle<Self>,
    views: HashMap<ViewId, View>,
    unclaimed: Vec<ToplevelSurface>,
    window: Option<mpsc::Sender<WindowMessage>>,
    focused: Option<ViewId>,
    engine_clock: input::EngineClock,
    /// Pointer buttons that are down.
    buttons: BTreeSet<u32>,
    default_size: (u32, u32, u32),
    letterboxed: bool,
    tick_armed: bool,
    last_tick: Instant,
    last_input: Option<Instant>,
    pasted: Option<Arc<str>>,
    cursor: Option<WlSurface>,
    typing: String,
}

/// Starts the display's thread. Returns when its socket accepts connections.
pub(crate) fn start(configuration: TabHostConfiguration, sender: BrokerSender) -> anyhow::Result<DisplayHandleTo> {
    let (handle, commands) = channel();
    let (ready, wait) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("display".into()).spawn(move || {
        let outcome = run(&configuration, commands, &ready);
        let reason = match outcome {
            Ok(()) => "the display ended".to_owned(),
            Err(error) => format!("the display failed: {error}"),
        };
        sender.exit(reason);
    })?;
    wait.recv()?;
    Ok(DisplayHandleTo(handle))
}

fn run(
    configuration: &TabHostConfiguration,
    commands: Channel<DisplayCommand>,
    ready: &std::sync::mpsc::Sender<()>,
) -> anyhow::Result<()> {
    let mut event_loop: EventLoop<'static, Compositor> = EventLoop::try_new()?;
    let display: Display<Compositor> = Display::new()?;
    let handle = event_loop.handle();
    let mut compositor = Compositor::new(&display, handle.clone(), configuration)?;

    let socket = ListeningSocketSource::with_name("wayland-0")?;
    handle
        .insert_source(socket, |stream, (), compositor| {
            let state = Arc::new(ClientState::default());
            if let Err(error) = compositor.display.insert_client(stream, state) {
                tracing::warn!("display: cannot accept a client: {error}");
            }
        })
        .map_err(io::Error::other)?;
    handle
        .insert_source(Generic::new(display, Interest::READ, Mode::Level), |_, display, compositor| {
            dispatch(display, compositor)
        })
        .map_err(io::Error::other)?;
    handle
        .insert_source(commands, |event, (), compositor| {
            if let ChannelEvent::Msg(command) = event {
                compositor.command(command);
            }
        })
        .map_err(|error| io::Error::other(error.error))?;
    // Fails only when the process is ending.
    let _ = ready.send(());
    event_loop.run(None, &mut compositor, |compositor| {
        // A disconnected client is noticed on its next event.
        let _ = compositor.display.flush_clients();
    })?;
    Ok(())
}

#[expect(unsafe_code, reason = "calloop guards the display against being dropped")]
fn dispatch(
    display: &mut smithay::reexports::calloop::generic::NoIoDrop<Display<Compositor>>,
    compositor: &mut Compositor,
) -> io::Result<PostAction> {
    // SAFETY: the display is not dropped or replaced here, only dispatched.
    unsafe { display.get_mut() }.dispatch_clients(compositor)?;
    Ok(PostAction::Continue)
}

impl Compositor {
    fn new(
        display: &Display<Self>,
        handle: LoopHandle<'static, Self>,
        configuration: &TabHostConfiguration,
    ) -> anyhow::Result<Self> {
        let dh = display.handle();
        let mut seat_state = SeatState::new();
        let mut seat = seat_state.new_wl_seat(&dh, "seat");
        let layout = XkbConfig {
            layout: &configuration.keyboard_layout,
            variant: &configuration.keyboard_variant,
            options: (!configuration.keyboard_options.is_empty()).then(|| configuration.keyboard_options.clone()),
            ..XkbConfig::default()
        };
        let keyboard = match seat.add_keyboard(layout, 400, 30) {
            Ok(keyboard) => keyboard,
            Err(error) => {
                tracing::warn!("no keyboard layout “{}” ({error}): using the default", configuration.keyboard_layout);
                seat.add_keyboard(XkbConfig::default(), 400, 30)?
            }
        };
        let pointer = seat.add_pointer();
        let physical = PhysicalProperties {
            size: (0, 0).into(),
            subpixel: Subpixel::Unknown,
            make: "Regen".into(),
            model: "page".into(),
        };
        let output = Output::new("page".into(), physical);
        output.create_global::<Self>(&dh);
        let compositor = Self {
            handle,
            compositor_state: CompositorState::new::<Self>(&dh),
            xdg_shell_state: XdgShellState::new::<Self>(&dh),
            shm_state: ShmState::new::<Self>(&dh, vec![]),
            seat_state,
            data_device_state: DataDeviceState::new::<Self>(&dh),
            text_inputs: TextInputs::new(&dh),
            _output_manager: OutputManagerState::new_with_xdg_output::<Self>(&dh),
            output,
            seat,
            keyboard,
            pointer,
            views: HashMap::new(),
            unclaimed: Vec::new(),
            window: None,
            focused: None,
            engine_clock: input::EngineClock::NotStarted,
            buttons: BTreeSet::new(),
            default_size: (configuration.width, configuration.height, configuration.scale),
            letterboxed: false,
            tick_armed: false,
            last_tick: Instant::now(),
            last_input: None,
            pasted: None,
            cursor: None,
            typing: String::new(),
            display: dh,
        };
        compositor.resize_output();
        Ok(compositor)
    }

    fn resize_output(&self) {
        let (width, height, scale) = self.default_size;
        let size = (pixels::signed(width * scale), pixels::signed(height * scale));
        let mode = OutputMode { size: size.into(), refresh: 60_000 };
        self.output.change_current_state(Some(mode), None, Some(Scale::Integer(pixels::signed(scale))), None);
        self.output.set_preferred(mode);
    }

    fn command(&mut self, command: DisplayCommand) {
        match command {
            DisplayCommand::Page(message) => self.page_message(message),
            DisplayCommand::Attach(window) => {
                self.window = Some(window);
                self.release_buffers();
            }
            DisplayCommand::Letterbox => {
                self.letterboxed = true;
                let (width, height, scale) = self.default_size;
                let (width, height) = crate::letterbox::letterboxed(width, height);
                self.default_size = (width, height, scale);
                self.resize_output();
            }
            DisplayCommand::Capture(view, answer) => {
                let view = self.view(view);
                view.captures.push(answer);
                self.arm_tick();
            }
            DisplayCommand::TellWindow(tab, body) => {
                self.tell_window(tab, body);
            }
            DisplayCommand::Delivered(view, answer) => {
                let view = self.view(view);
                if !view.waiting_input.is_empty() {
                    view.waiting_answers.push(answer);
                    return;
                }
                // A disconnected client is noticed on its next event. The requester may have given up.
                let _ = self.display.flush_clients();
                let _ = answer.send(());
            }
            DisplayCommand::Hold(view, is_held) => {
                let view = self.view(view);
                view.is_held = is_held;
                view.damage_all();
                self.arm_tick();
            }
            DisplayCommand::Forget(view) => {
                if self.focused == Some(view) {
                    self.focus(None);
                }
                self.views.remove(&view);
            }
        }
    }

    fn release_buffers(&mut self) {
        for view in self.views.values_mut() {
            view.buffers = ViewBuffers::default();
            view.damage_all();
        }
        self.arm_tick();
    }

    fn view(&mut self, id: ViewId) -> &mut View {
        let (width, height, scale) = self.default_size;
        self.views.entry(id).or_insert_with(|| View {
            toplevel: None,
            dialogs: Vec::new(),
            popups: Vec::new(),
            menus: Vec::new(),
            width,
            height,
            scale,
            buffers: ViewBuffers::default(),
            captures: Vec::new(),
            waiting_input: Vec::new(),
            waiting_answers: Vec::new(),
            is_held: false,
        })
    }

    /// Returns the time of an event, on the clock from which the engine subtracts a page's start.
    fn milliseconds() -> u32 {
        // Wraps after 49 days, as the protocol expects.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the protocol's clock wraps")]
        let milliseconds = (glib::monotonic_time() / 1000) as u32;
        milliseconds
    }

    /// Schedules the next frame. Nothing runs while nothing changes.
    fn arm_tick(&mut self) {
        if self.tick_armed {
            return;
        }
        self.tick_armed = true;
        let wait = FRAME.saturating_sub(self.last_tick.elapsed());
        let timer = Timer::from_duration(wait);
        let inserted = self.handle.insert_source(timer, |_, (), compositor| {
            compositor.tick_armed = false;
            compositor.last_tick = Instant::now();
            compositor.tick();
            TimeoutAction::Drop
        });
        if let Err(error) = inserted {
            tracing::error!("display: cannot set a timer: {error}");
        }
    }

    fn tick(&mut self) {
        let ids: Vec<ViewId> = self.views.keys().copied().collect();
        for id in ids {
            self.deliver_waiting(id);
            self.capture(id);
            self.compose(id);
        }
        let time = Self::milliseconds();
        for view in self.views.values() {
            // Without a free buffer, send no frame callbacks: the page then slows down with the window.
            if self.window.is_none() || view.buffers.has_room() {
                view.surfaces().for_each(|surface| pixels::send_frame_callbacks(&surface, time));
            }
        }
        if let Some(cursor) = &self.cursor {
            pixels::send_frame_callbacks(cursor, time);
        }
    }

    /// Sends a message about a tab to the window. Returns whether it is on its way: a window that does not read loses
    /// messages, so that memory stays bounded.
    fn tell_window(&self, tab: ViewId, body: from_page::Body) -> bool {
        self.tell_window_with(tab, body, None)
    }

    fn tell_window_with(&self, tab: ViewId, body: from_page::Body, memory: Option<OwnedFd>) -> bool {
        let message = FromPage { tab, body: Some(body), ..FromPage::default() };
        self.window.as_ref().is_some_and(|window| window.try_send((message, memory)).is_ok())
    }
}
