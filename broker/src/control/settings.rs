//! Requests about the settings and the commands.

use regen_proto::settings::v1::{SettingsReply, SettingsRequest};
use regen_settings::commands;
use tonic::Status;

use super::Command;
use super::service::{Control, status};
use crate::codec::settings;
use crate::kept;

impl Control {
    /// Lists settings or changes one. A change is on the disk when this returns.
    pub(super) async fn settings_now(&self, request: SettingsRequest) -> Result<SettingsReply, Status> {
        let query = settings::query(request)
            .ok_or_else(|| Status::invalid_argument("a request about settings without an action"))?;
        let mut reply = self
            .broker
            .call(|answer| Command::Kept(kept::Command::Settings { query, answer }))
            .await
            .map_err(status)?;
        if let Some(saved) = reply.saved.take() {
            let saved =
                saved.await.map_err(|_| Status::unavailable("the browser ended before the setting was saved"))?;
            let words = "the setting holds until the browser ends: settings.toml cannot be written";
            saved.map_err(|error| Status::resource_exhausted(format!("{words}: {error}")))?;
        }
        Ok(settings::reply(reply))
    }

    /// Runs a command of the browser in its window.
    pub(super) async fn run_now(&self, name: String) -> Result<(), Status> {
        if commands::Command::named(&name).is_none() {
            return Err(Status::not_found(format!("there is no command “{name}”: `regen command` lists them")));
        }
        self.broker.call(|answer| Command::Run { name, answer }).await.map_err(status)
    }
}
