//! A spare: everything is up that does not depend on the site, and the site comes later.

use anyhow::Context;
use regen_net_config::site::Site;
use regen_proto::kernel::v1::{Ready, ShieldsLevel};
use regen_proto::validate::ChildToBroker;

use crate::broker_channel::{self, Link, MainEvent};

/// Says that this host can be taken, and waits until it is.
pub(crate) fn wait(link: &mut Link) -> anyhow::Result<(Site, ShieldsLevel)> {
    // The engine sets itself up once per process, whatever it is first used for.
    drop(webkit2gtk::Settings::new());
    link.sender.send(ChildToBroker::Ready(Ready {}));
    loop {
        match link.inbox.blocking_recv().context("the broker is gone")? {
            MainEvent::Site(show) => return Ok((Site::parse(&show.site)?, show.level())),
            MainEvent::Heartbeat(beat) => link.sender.send(broker_channel::alive(beat)),
            MainEvent::Shutdown => std::process::exit(0),
            MainEvent::NetworkBack => {}
            MainEvent::Command(..) | MainEvent::Cookies(_) | MainEvent::Blocked(..) | MainEvent::Common(_) => {
                anyhow::bail!("a spare was given work before it had a site")
            }
        }
    }
}
