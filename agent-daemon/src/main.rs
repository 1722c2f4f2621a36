//! The agent-daemon: runs automated tasks on tabs that the user granted to it. Tasks are not implemented yet; it is
//! started, confined and supervised like every other child, and must never hold a right that no grant gave it.

use regen_proto::kernel::v1::AgentDaemonConfiguration;
use regen_proto::validate::{BrokerToChild, ChildToBroker};

fn main() -> anyhow::Result<()> {
    regen_runtime::begin();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let (kernel, AgentDaemonConfiguration {}) = regen_runtime::adopt().await?;
    kernel.ready().await?;
    loop {
        match kernel.receive().await?.0 {
            BrokerToChild::Heartbeat(beat) => kernel.send(ChildToBroker::Heartbeat(beat)).await?,
            BrokerToChild::Shutdown(_) => return Ok(()),
            BrokerToChild::Hello(_)
            | BrokerToChild::Grant(_)
            | BrokerToChild::Revoke(_)
            | BrokerToChild::Cookies(_)
            | BrokerToChild::Permissions(_)
            | BrokerToChild::Site(_)
            | BrokerToChild::Command(_)
            | BrokerToChild::Update(_)
            | BrokerToChild::Configure(_) => {
                kernel.exit("the broker sent a message that is not for an agent-daemon").await;
            }
        }
    }
}
