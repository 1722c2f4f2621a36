//! A prelaunched process: everything that does not depend on the site is started before the site is known.

use anyhow::Context;
use regen_net_config::site::Site;
use regen_proto::kernel::v1::{Ready, ShieldsLevel};
use regen_proto::validate::ChildToBroker;

use crate::broker_channel::Link;
use crate::events::{MainEvent, alive};

/// Reports this process as ready, and waits until the broker assigns it a site.
pub(crate) fn wait(link: &mut Link) -> anyhow::Result<(Site, ShieldsLevel)> {
    // The first use of the engine, whatever it is, initialises it for the process.
    drop(webkit2gtk::Settings::new());
    link.sender.send(ChildToBroker::Ready(Ready {}));
    loop {
        match link.inbox.blocking_recv().context("the broker channel closed before a site was assigned")? {
            MainEvent::Site(show) => return Ok((Site::parse(&show.site)?, show.level())),
            MainEvent::Heartbeat(beat) => link.sender.send(alive(beat)),
            MainEvent::Shutdown => std::process::exit(0),
            MainEvent::NetworkBack => {}
            MainEvent::Command(..)
            | MainEvent::Cookies(_)
            | MainEvent::Permissions(_)
            | MainEvent::Blocked(..)
            | MainEvent::Common(_) => {
                anyhow::bail!("the broker sent work to a prelaunched process without a site")
            }
        }
    }
}
