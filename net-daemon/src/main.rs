//! Entry point of the net-daemon.

fn main() -> anyhow::Result<()> {
    regen_net_daemon::run()
}
