//! A spare: everything is up that does not depend on the site, and the site comes later.

use anyhow::Context;
use regen_proto::convert::FromChild;
use regen_proto::kernel::v1::{Ready, ShieldsLevel};
use regen_net_config::site::Site;

use crate::link::{self, Link, ToMain};

/// Says that this host can be taken, and waits until it is.
pub(crate) fn wait(link: &mut Link) -> anyhow::Result<(Site, ShieldsLevel)> {
    // The engine sets itself up once per process, whatever it is first used for.
    drop(webkit2gtk::Settings::new());
    link.outbox.send(FromChild::Ready(Ready {}));
    loop {
        match link.inbox.blocking_recv().context("the broker is gone")? {
            ToMain::Site(show) => return Ok((Site::parse(&show.site)?, show.level())),
            ToMain::Heartbeat(beat) => link.outbox.send(link::alive(beat)),
            ToMain::Shutdown => std::process::exit(0),
            ToMain::NetworkBack => {}
            ToMain::Command(..) | ToMain::Cookies(_) | ToMain::Blocked(..) | ToMain::Common(_) => {
                anyhow::bail!("a spare was given work before it had a site")
            }
        }
    }
}
