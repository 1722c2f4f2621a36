//! Configuration of children: the first message after Hello, and for a net-daemon again with each change.

use regen_net_config::host::HostKey;
use regen_net_config::settings::shields::{Level, ShieldsSettings};
use regen_proto::kernel::v1::configure::Role as Configuration;
use regen_proto::kernel::v1::{
    AgentDaemonConfiguration, Configure, Dns, NetDaemonConfiguration, Shields, ShieldsLevel, SiteShields,
    TabHostConfiguration, UiShellConfiguration,
};
use regen_proto::role::Role;
use regen_proto::validate::BrokerToChild;

use crate::configuration::DisplayOptions;
use crate::message::{ChildId, Outgoing};
use crate::network::{Network, NetworkSettings};
use crate::window::window_size::Size;

/// Returns the configuration of a child. `host`: the site of a tab-host; `window_size`: as the user left the window.
#[must_use]
pub fn configure(
    to: ChildId,
    role: Role,
    host: Option<&HostKey>,
    display: &DisplayOptions,
    window_size: Option<Size>,
    network: &Network,
) -> Outgoing {
    let configuration = match role {
        Role::NetDaemon => return net_daemon(to, network),
        Role::AgentDaemon => Configuration::AgentDaemon(AgentDaemonConfiguration {}),
        Role::UiShell => {
            let Size { width, height, maximized } = window_size.unwrap_or_default();
            Configuration::UiShell(UiShellConfiguration { width, height, maximized, dark: display.dark })
        }
        Role::TabHost => {
            let shields = &network.settings().shields;
            let of_host = host.map(|host| shields.of(host)).unwrap_or_default();
            Configuration::TabHost(TabHostConfiguration {
                site: host.map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
                width: display.size.0,
                height: display.size.1,
                scale: display.scale,
                dark: display.dark,
                keyboard_layout: display.keyboard.layout.clone(),
                keyboard_variant: display.keyboard.variant.clone(),
                keyboard_options: display.keyboard.options.clone(),
                languages: display.languages.clone(),
                time_zone: display.time_zone.clone(),
                level: level(of_host).into(),
            })
        }
    };
    message(to, configuration)
}

/// Returns the configuration of a net-daemon.
#[must_use]
pub fn net_daemon(to: ChildId, network: &Network) -> Outgoing {
    let NetworkSettings { routes, dns, shields, .. } = network.settings();
    let options = network.options();
    let configuration = NetDaemonConfiguration {
        shields: Some(wire_shields(shields)),
        tor_config: options.tor_config.clone(),
        reach_private: options.reach_private.clone(),
        dns: Some(Dns { servers: dns.servers.to_string(), dnssec: dns.dnssec }),
        dns_anchors: options.dns_anchors.clone(),
        route: routes.everywhere.to_string(),
    };
    message(to, Configuration::NetDaemon(configuration))
}

fn message(to: ChildId, configuration: Configuration) -> Outgoing {
    Outgoing::new(to, BrokerToChild::Configure(Configure { role: Some(configuration) }))
}

/// Returns the message for a level of shields.
pub(super) fn level(level: Level) -> ShieldsLevel {
    match level {
        Level::Off => ShieldsLevel::Off,
        Level::Balanced => ShieldsLevel::Balanced,
        Level::Strict => ShieldsLevel::Strict,
    }
}

fn wire_shields(settings: &ShieldsSettings) -> Shields {
    let site = |(site, own): (&String, &Level)| SiteShields { site: site.clone(), level: level(*own).into() };
    let workspace = |(name, own): (&String, &Level)| (name.clone(), level(*own).into());
    Shields {
        level: level(settings.level).into(),
        sites: settings.sites.iter().map(site).collect(),
        workspaces: settings.workspaces.iter().map(workspace).collect(),
    }
}
