//! The agent-daemon: for tasks that run by themselves on tabs that the user granted. It holds no grant and no task yet;
//! it is started, confined and supervised like every other child, so that what comes later starts from no rights.

use regen_proto::convert::{ForChild, FromChild};
use regen_proto::kernel::v1::Role;

fn main() -> anyhow::Result<()> {
    regen_runtime::begin();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let (kernel, _configure) = regen_runtime::adopt(Role::AgentDaemon).await?;
    kernel.ready().await?;
    loop {
        match kernel.receive().await?.0 {
            ForChild::Heartbeat(beat) => kernel.send(FromChild::Heartbeat(beat)).await?,
            ForChild::Shutdown(_) => return Ok(()),
            ForChild::Hello(_)
            | ForChild::Grant(_)
            | ForChild::Revoke(_)
            | ForChild::Cookies(_)
            | ForChild::Site(_)
            | ForChild::Command(_)
            | ForChild::Update(_)
            | ForChild::Configure(_) => {
                kernel.exit("the broker sent a message that is not for an agent-daemon").await;
            }
        }
    }
}
