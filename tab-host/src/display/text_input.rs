//! `zwp_text_input_v3`: passes text of the user's input method from the window to the page.

use smithay::reexports::wayland_protocols::wp::text_input::zv3::server::zwp_text_input_manager_v3::{
    self, ZwpTextInputManagerV3,
};
use smithay::reexports::wayland_protocols::wp::text_input::zv3::server::zwp_text_input_v3::{self, ZwpTextInputV3};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, backend::ClientId,
};

use regen_proto::page::v1::{ImeState, from_page};

use super::Compositor;

/// Text input of one client.
#[derive(Debug)]
struct Input {
    object: ZwpTextInputV3,
    serial: u32,
    pending: ImeState,
    enabled: bool,
}

/// Text inputs of all clients, and the surface that has the keyboard focus.
#[derive(Debug)]
pub(super) struct TextInputs {
    inputs: Vec<Input>,
    focus: Option<WlSurface>,
}

impl TextInputs {
    pub(super) fn new(display: &DisplayHandle) -> Self {
        display.create_global::<Compositor, ZwpTextInputManagerV3, ()>(1, ());
        Self { inputs: Vec::new(), focus: None }
    }

    /// Moves the keyboard focus to a surface.
    pub(super) fn focus(&mut self, surface: Option<&WlSurface>) {
        if self.focus.as_ref() == surface {
            return;
        }
        if let Some(old) = self.focus.take().filter(Resource::is_alive) {
            self.of(&old).for_each(|input| {
                input.object.leave(&old);
                input.enabled = false;
            });
        }
        self.focus = surface.cloned();
        if let Some(new) = surface {
            self.of(new).for_each(|input| input.object.enter(new));
        }
    }

    fn of(&mut self, surface: &WlSurface) -> impl Iterator<Item = &mut Input> {
        let client = surface.client();
        self.inputs.iter_mut().filter(move |input| input.object.client() == client)
    }

    fn active(&mut self) -> Option<&mut Input> {
        let surface = self.focus.clone()?;
        self.of(&surface).find(|input| input.enabled)
    }

    /// Commits text of the input method. Returns whether there was a field to take it.
    pub(super) fn commit(&mut self, text: &str) -> bool {
        let Some(input) = self.active() else { return false };
        input.object.preedit_string(None, 0, 0);
        input.object.commit_string(Some(text.to_owned()));
        input.object.done(input.serial);
        true
    }

    /// Shows the text that the input method is composing.
    pub(super) fn preedit(&mut self, text: &str, cursor: u32) {
        if let Some(input) = self.active() {
            let cursor = i32::try_from(cursor).unwrap_or(0);
            let text = (!text.is_empty()).then(|| text.to_owned());
            input.object.preedit_string(text, cursor, cursor);
            input.object.done(input.serial);
        }
    }
}

impl GlobalDispatch<ZwpTextInputManagerV3, ()> for Compositor {
    fn bind(
        _state: &mut Self,
        _display: &DisplayHandle,
        _client: &Client,
        resource: New<ZwpTextInputManagerV3>,
        _data: &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(resource, ());
    }
}

impl Dispatch<ZwpTextInputManagerV3, ()> for Compositor {
    fn request(
        state: &mut Self,
        _client: &Client,
        _resource: &ZwpTextInputManagerV3,
        request: zwp_text_input_manager_v3::Request,
        _data: &(),
        _display: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let zwp_text_input_manager_v3::Request::GetTextInput { id, .. } = request {
            let object = init.init(id, ());
            if let Some(focus) = state.text_inputs.focus.as_ref().filter(|focus| focus.client() == object.client()) {
                object.enter(focus);
            }
            let input = Input { object, serial: 0, pending: ImeState::default(), enabled: false };
            state.text_inputs.inputs.push(input);
        }
    }
}

impl Dispatch<ZwpTextInputV3, ()> for Compositor {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other requests only describe the field")]
    fn request(
        state: &mut Self,
        _client: &Client,
        resource: &ZwpTextInputV3,
        request: zwp_text_input_v3::Request,
        _data: &(),
        _display: &DisplayHandle,
        _init: &mut DataInit<'_, Self>,
    ) {
        use zwp_text_input_v3::Request;
        let Some(input) = state.text_inputs.inputs.iter_mut().find(|input| input.object == *resource) else { return };
        match request {
            Request::Enable => input.pending.enabled = true,
            Request::Disable => input.pending.enabled = false,
            Request::SetCursorRectangle { x, y, width, height } => {
                input.pending = ImeState { enabled: input.pending.enabled, x, y, width, height };
            }
            Request::Commit => {
                input.serial = input.serial.wrapping_add(1);
                input.enabled = input.pending.enabled;
                let state_now = input.pending;
                if let Some(tab) = state.focused {
                    state.tell_window(tab, from_page::Body::Ime(state_now));
                }
                if state_now.enabled {
                    state.type_on();
                }
            }
            _ => {}
        }
    }

    fn destroyed(state: &mut Self, _client: ClientId, resource: &ZwpTextInputV3, _data: &()) {
        state.text_inputs.inputs.retain(|input| input.object != *resource);
    }
}
