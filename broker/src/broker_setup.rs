//! Parts that a broker is made of.

use std::path::PathBuf;

use tokio::sync::{mpsc, watch};

use crate::children::{self, ChildrenSetup};
use crate::configuration::DisplayOptions;
use crate::network::{self, NetworkOptions};
use crate::{persistence, window};
use regen_settings::{Settings, SettingsFile};
use regen_store::OpenStore;

/// Parts and settings that a broker is made of.
#[derive(Debug)]
pub struct BrokerSetup {
    /// Parts of the children's component.
    pub children: ChildrenSetup,
    /// The store, with what earlier runs left in it.
    pub store: OpenStore,
    /// Options about the network.
    pub network: NetworkOptions,
    /// Options about pages and the window.
    pub display: DisplayOptions,
    /// Settings at the start.
    pub settings: Settings,
    /// The user's file of settings.
    pub settings_file: SettingsFile,
    /// A tab-host is kept ready for the next site.
    pub spare: bool,
    /// Folder that files are saved to.
    pub downloads: PathBuf,
    /// Number of certificate authorities that the profile added.
    pub extra_ca: u32,
    /// Place of the key of session cookies, in words.
    pub secrets: &'static str,
    /// Warnings of the start.
    pub warnings: Vec<String>,
}

/// Senders to the event loop.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) children: mpsc::Sender<children::Event>,
    pub(crate) network: mpsc::Sender<network::Event>,
    pub(crate) persistence: mpsc::Sender<persistence::Event>,
    pub(crate) window: mpsc::Sender<window::Event>,
    /// Told of every change of the session or of a child's state.
    pub(crate) changed: watch::Sender<u64>,
}
