//! State of this host's site that all of its views share. Everything here belongs to the GTK thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use regen_net_config::site::Site;
use regen_proto::net::v1::CommonRules;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use wry::WebContext;

use crate::cookies::SessionJar;
use crate::display::DisplayHandleTo;
use crate::events::MainEvent;
use crate::filter::Filter;
use crate::fingerprinting::ReportedDevice;
use crate::helpers::Helpers;
use crate::permissions::Permissions;
use crate::sender::BrokerSender;
use crate::shields::ShieldsClient;
use crate::tunnel::TunnelPort;

/// Mount point of the site's bucket (its storage) inside the sandbox.
pub(crate) const BUCKET: &str = "/bucket/site";

/// The site's state.
pub(crate) struct SiteContext {
    pub(crate) site: Site,
    pub(crate) sender: BrokerSender,
    pub(crate) display: DisplayHandleTo,
    pub(crate) tunnel: TunnelPort,
    /// Client for shields, and the runtime that its calls must run on.
    pub(crate) shields: (Handle, ShieldsClient),
    /// Device that the site's pages see.
    pub(crate) device: ReportedDevice,
    /// Languages that the user prefers.
    pub(crate) languages: Vec<String>,
    pub(crate) size: (u32, u32),
    /// Generic rules, as last received from the net-daemon.
    pub(crate) generic_rules: RefCell<CommonRules>,
    pub(crate) filter: Filter,
    pub(crate) permissions: Permissions,
    pub(crate) web_context: RefCell<WebContext>,
    /// Set once the engine uses [`Self::tunnel`] as its proxy.
    pub(crate) has_proxy: Cell<bool>,
    /// Time at which a net-daemon last became available again.
    pub(crate) network_back: Cell<Option<Instant>>,
    pub(crate) helpers: RefCell<Helpers>,
    pub(crate) cookies: Rc<SessionJar>,
    pub(crate) to_main: mpsc::UnboundedSender<MainEvent>,
}

impl SiteContext {
    /// Requests the generic rules and the content filter from the net-daemon.
    pub(crate) fn ask_generic_rules(&self) {
        // Each frame of a page may request them; one request at a time is enough.
        if self.filter.begin_asking() {
            return;
        }
        let (runtime, client) = &self.shields;
        let (told, to_main) = (client.clone().common(), self.to_main.clone());
        runtime.spawn(async move {
            // Fails only when the process is ending.
            let _ = to_main.send(MainEvent::Common(told.await.map(Box::new)));
        });
    }

    /// Requests the rules again if a document was given another filter version than the present one.
    pub(crate) fn filter_is(&self, version: u32) {
        if self.filter.version() != version {
            self.ask_generic_rules();
        }
    }
}
