//! The net-daemon's program.

fn main() -> anyhow::Result<()> {
    regen_net_daemon::run()
}
