//! Handlers of the Wayland protocols that GTK and the web process need, and of no others.

use regen_proto::page::v1::{Cursor, from_page};
use smithay::input::pointer::{CursorImageAttributes, CursorImageStatus};
use smithay::input::{Seat, SeatHandler, SeatState};
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::State;
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::reexports::wayland_server::protocol::wl_seat::WlSeat;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Client, Resource, backend::ClientData};
use smithay::utils::{Rectangle, SERIAL_COUNTER, Serial};
use smithay::wayland::buffer::BufferHandler;
use smithay::wayland::compositor::{
    CompositorClientState, CompositorHandler, CompositorState, get_parent, is_sync_subsurface, with_states,
};
use smithay::wayland::output::OutputHandler;
use smithay::wayland::selection::data_device::set_data_device_focus;
use smithay::wayland::shell::xdg::{
    PopupSurface, PositionerState, ShellClient, ToplevelSurface, XdgShellHandler, XdgShellState, XdgToplevelSurfaceData,
};
use smithay::wayland::shm::{ShmHandler, ShmState};
use smithay::{
    delegate_compositor, delegate_data_device, delegate_output, delegate_seat, delegate_shm, delegate_xdg_shell,
};

use super::pixels::{self, signed};
use super::{Compositor, VIEW_TITLE, ViewId};

/// Maximum side of a pointer image that the window accepts, in device pixels.
const CURSOR_SIDE: i32 = 128;

#[derive(Debug, Default)]
pub(super) struct ClientState {
    compositor: CompositorClientState,
}

impl ClientData for ClientState {}

impl BufferHandler for Compositor {
    fn buffer_destroyed(&mut self, _buffer: &WlBuffer) {}
}

impl ShmHandler for Compositor {
    fn shm_state(&self) -> &ShmState {
        &self.shm_state
    }
}

impl OutputHandler for Compositor {}

impl CompositorHandler for Compositor {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.compositor_state
    }

    #[expect(clippy::expect_used, reason = "every client was inserted with this data")]
    fn client_compositor_state<'a>(&self, client: &'a Client) -> &'a CompositorClientState {
        &client.get_data::<ClientState>().expect("inserted with ClientState").compositor
    }

    fn new_surface(&mut self, surface: &WlSurface) {
        self.output.enter(surface);
    }

    fn commit(&mut self, surface: &WlSurface) {
        // A commit of a synchronised subsurface (a popover) takes effect when its parent commits.
        let committed = if is_sync_subsurface(surface) { Vec::new() } else { pixels::tree(surface) };
        let mut changed = None;
        let mut changed_on_top = false;
        for one in committed {
            let area = pixels::take_commit(&one);
            if one == *surface { changed = area } else { changed_on_top |= area.is_some() }
        }
        if self.cursor.as_ref() == Some(surface) {
            self.cursor_changed();
        }
        let mut root = surface.clone();
        while let Some(parent) = get_parent(&root) {
            root = parent;
        }
        if let Some(popup) = self.popup(&root)
            && !popup.is_initial_configure_sent()
            && popup.send_configure().is_err()
        {
            tracing::warn!("display: cannot configure a popup a second time");
        }
        if let Some(toplevel) = self.toplevel(&root)
            && self.unclaimed.contains(&toplevel)
        {
            self.first_configure(&toplevel);
        }
        if let Some(id) = self.view_of(&root)
            && let Some(view) = self.views.get_mut(&id)
        {
            let is_page = view.toplevel.as_ref().is_some_and(|toplevel| toplevel.wl_surface() == surface);
            match changed {
                Some(area) if is_page && !changed_on_top => view.buffers.damage(area),
                None if !changed_on_top => {}
                _ => view.damage_all(),
            }
        }
        self.arm_tick();
    }
}

impl Compositor {
    fn popup(&self, surface: &WlSurface) -> Option<PopupSurface> {
        self.xdg_shell_state.popup_surfaces().iter().find(|popup| popup.wl_surface() == surface).cloned()
    }

    fn toplevel(&self, surface: &WlSurface) -> Option<ToplevelSurface> {
        self.xdg_shell_state.toplevel_surfaces().iter().find(|toplevel| toplevel.wl_surface() == surface).cloned()
    }

    /// Returns the view that a root surface belongs to.
    pub(super) fn view_of(&self, root: &WlSurface) -> Option<ViewId> {
        self.views.iter().find(|(_, view)| view.surfaces().any(|surface| surface == *root)).map(|(id, _)| *id)
    }

    /// Assigns a new GTK window to the view that its title names. Any other window is a dialog of its parent's view, or
    /// of the focused one.
    fn first_configure(&mut self, toplevel: &ToplevelSurface) {
        self.unclaimed.retain(|other| other != toplevel);
        let title = with_states(toplevel.wl_surface(), |states| {
            let data = states.data_map.get::<XdgToplevelSurfaceData>()?;
            data.lock().ok()?.title.clone()
        });
        let id = title.as_deref().and_then(|title| title.strip_prefix(VIEW_TITLE)).and_then(|id| id.parse().ok());
        match id {
            Some(id) => {
                self.view(id).toplevel = Some(toplevel.clone());
                self.configure_view(id);
                if self.window.is_none() || self.focused == Some(id) || self.focused.is_none() {
                    self.focus(Some(id));
                }
            }
            None => {
                let parent = toplevel.parent().and_then(|parent| self.view_of(&parent)).or(self.focused);
                if let Some(view) = parent.and_then(|id| self.views.get_mut(&id)) {
                    view.dialogs.push(toplevel.clone());
                }
                toplevel.with_pending_state(|state| state.states.set(State::Activated));
                toplevel.send_configure();
                self.keyboard_focus(Some(toplevel.wl_surface().clone()));
            }
        }
    }

    pub(super) fn configure_view(&mut self, id: ViewId) {
        let Some(view) = self.views.get(&id) else { return };
        let Some(toplevel) = &view.toplevel else { return };
        let size = (signed(view.width), signed(view.height));
        let active = self.focused == Some(id);
        toplevel.with_pending_state(|state| {
            state.size = Some(size.into());
            state.bounds = Some(size.into());
            // Fullscreen: no title bar, no shadow, exactly this size.
            state.states.set(State::Fullscreen);
            if active {
                state.states.set(State::Activated)
            } else {
                state.states.unset(State::Activated)
            };
        });
        toplevel.send_configure();
    }

    pub(super) fn focus(&mut self, id: Option<ViewId>) {
        if self.focused != id {
            // Later releases would go to the view that has the focus by then.
            self.release_all();
        }
        let before = std::mem::replace(&mut self.focused, id);
        for changed in [before, id].into_iter().flatten() {
            self.configure_view(changed);
        }
        let surface = id.and_then(|id| self.views.get(&id)).and_then(|view| {
            let dialog = view.dialogs.last().or(view.toplevel.as_ref());
            dialog.map(|toplevel| toplevel.wl_surface().clone())
        });
        self.keyboard_focus(surface);
    }

    pub(super) fn keyboard_focus(&mut self, surface: Option<WlSurface>) {
        let keyboard = self.keyboard.clone();
        keyboard.set_focus(self, surface, SERIAL_COUNTER.next_serial());
    }

    fn cursor_changed(&self) {
        let Some(view) = self.focused else { return };
        let Some(surface) = &self.cursor else { return };
        let hotspot = with_states(surface, |states| {
            let attributes = states.data_map.get::<std::sync::Mutex<CursorImageAttributes>>()?;
            Some(attributes.lock().ok()?.hotspot)
        });
        let hotspot = hotspot.unwrap_or_default();
        let cursor = pixels::of_surface(surface, |pixels| {
            let fits = pixels.width > 0 && pixels.width <= CURSOR_SIDE && pixels.height <= CURSOR_SIDE;
            let unsigned = |value: i32| u32::try_from(value).unwrap_or(0);
            fits.then(|| Cursor {
                hidden: false,
                width: unsigned(pixels.width),
                height: unsigned(pixels.height),
                hotspot_x: unsigned(hotspot.x * pixels.scale),
                hotspot_y: unsigned(hotspot.y * pixels.scale),
                bgra: pixels.bytes.clone().into(),
                scale: unsigned(pixels.scale),
            })
        });
        if let Some(cursor) = cursor.flatten() {
            self.tell_window(view, from_page::Body::Cursor(cursor));
        }
    }
}

impl XdgShellHandler for Compositor {
    fn xdg_shell_state(&mut self) -> &mut XdgShellState {
        &mut self.xdg_shell_state
    }

    fn client_pong(&mut self, _client: ShellClient) {
        self.engine_clock_started();
    }

    fn new_toplevel(&mut self, surface: ToplevelSurface) {
        // The title, and so the view, is known at its first commit.
        self.unclaimed.push(surface);
    }

    fn new_popup(&mut self, surface: PopupSurface, positioner: PositionerState) {
        let mut root = surface.get_parent_surface();
        while let Some(popup) = root.as_ref().and_then(|root| self.popup(root)) {
            root = popup.get_parent_surface();
        }
        let Some(id) = root.and_then(|root| self.view_of(&root)) else { return };
        let Some(view) = self.views.get_mut(&id) else { return };
        let geometry = placed_inside(view, &surface, &positioner);
        surface.with_pending_state(|state| {
            state.geometry = geometry;
            state.positioner = positioner;
        });
        view.popups.push(surface);
    }

    fn grab(&mut self, surface: PopupSurface, _seat: WlSeat, _serial: Serial) {
        self.keyboard_focus(Some(surface.wl_surface().clone()));
        if let Some(view) = self.views.values_mut().find(|view| view.popups.contains(&surface)) {
            view.menus.push(surface);
        }
    }

    fn reposition_request(&mut self, surface: PopupSurface, positioner: PositionerState, token: u32) {
        let id = self.view_of(surface.wl_surface());
        if let Some(view) = id.and_then(|id| self.views.get_mut(&id)) {
            let geometry = placed_inside(view, &surface, &positioner);
            surface.with_pending_state(|state| {
                state.geometry = geometry;
                state.positioner = positioner;
            });
            surface.send_repositioned(token);
            view.damage_all();
        }
    }

    fn popup_destroyed(&mut self, surface: PopupSurface) {
        for view in self.views.values_mut() {
            view.menus.retain(|menu| *menu != surface);
            if view.popups.contains(&surface) {
                view.popups.retain(|popup| *popup != surface);
                view.damage_all();
            }
        }
        self.focus(self.focused);
        self.arm_tick();
    }

    fn toplevel_destroyed(&mut self, surface: ToplevelSurface) {
        self.unclaimed.retain(|other| *other != surface);
        for view in self.views.values_mut() {
            if view.toplevel.as_ref() == Some(&surface) {
                view.toplevel = None;
            }
            if view.dialogs.contains(&surface) {
                view.dialogs.retain(|dialog| *dialog != surface);
                view.damage_all();
            }
        }
        self.focus(self.focused);
        self.arm_tick();
    }

    // Requests are ignored: the size of a window is decided at its first commit.
    fn fullscreen_request(&mut self, _surface: ToplevelSurface, _output: Option<WlOutput>) {}
    fn maximize_request(&mut self, _surface: ToplevelSurface) {}
}

/// Returns the geometry of a popup that keeps it inside the page.
fn placed_inside(
    view: &super::View,
    popup: &PopupSurface,
    positioner: &PositionerState,
) -> Rectangle<i32, smithay::utils::Logical> {
    let origin = popup
        .get_parent_surface()
        .and_then(|parent| view.placed().into_iter().find(|(surface, _)| *surface == parent))
        .map(|(_, at)| at)
        .unwrap_or_default();
    let page = Rectangle::new((-origin.x, -origin.y).into(), (signed(view.width), signed(view.height)).into());
    positioner.get_unconstrained_geometry(page)
}

impl SeatHandler for Compositor {
    type KeyboardFocus = WlSurface;
    type PointerFocus = WlSurface;
    type TouchFocus = WlSurface;

    fn seat_state(&mut self) -> &mut SeatState<Self> {
        &mut self.seat_state
    }

    fn focus_changed(&mut self, seat: &Seat<Self>, focused: Option<&WlSurface>) {
        let client = focused.and_then(|surface| self.display.get_client(surface.id()).ok());
        set_data_device_focus(&self.display, seat, client);
        self.text_inputs.focus(focused);
    }

    fn cursor_image(&mut self, _seat: &Seat<Self>, image: CursorImageStatus) {
        match image {
            CursorImageStatus::Surface(surface) => {
                self.cursor = Some(surface);
                self.cursor_changed();
            }
            CursorImageStatus::Hidden => {
                self.cursor = None;
                if let Some(tab) = self.focused {
                    let hidden = Cursor { hidden: true, ..Cursor::default() };
                    self.tell_window(tab, from_page::Body::Cursor(hidden));
                }
            }
            CursorImageStatus::Named(_) => self.cursor = None,
        }
    }
}

delegate_compositor!(Compositor);
delegate_data_device!(Compositor);
delegate_output!(Compositor);
delegate_seat!(Compositor);
delegate_shm!(Compositor);
delegate_xdg_shell!(Compositor);
