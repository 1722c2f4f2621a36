//! Routes of sites, as chosen by the user.

use std::collections::BTreeMap;

use crate::route::Route;
use serde::{Deserialize, Serialize};

use super::scope::Scope;
use crate::host::{HostKey, is_throw_away};

/// Routes chosen by the user. A site's route outweighs its workspace's, and that one the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSettings {
    /// Default route.
    pub everywhere: Route,
    /// Routes of workspaces, by name.
    pub workspaces: BTreeMap<String, Route>,
    /// Routes of sites, by host: a route holds for both http and https.
    pub sites: BTreeMap<String, Route>,
}

impl RouteSettings {
    /// Returns the route of a site's process.
    #[must_use]
    pub fn of(&self, host: &HostKey) -> &Route {
        let own = self.sites.get(host.site.host()).or_else(|| self.workspaces.get(&host.workspace));
        own.unwrap_or(&self.everywhere)
    }

    /// Returns those that may be saved: none of throw-away workspaces.
    #[must_use]
    pub fn to_save(&self) -> Self {
        let mut kept = self.clone();
        kept.workspaces.retain(|workspace, _| !is_throw_away(workspace));
        kept
    }

    /// Changes a route. `None` removes the route of a site or workspace, or resets the default.
    pub fn choose(&mut self, scope: Scope, route: Option<Route>) {
        let set = |routes: &mut BTreeMap<String, Route>, key: String, route| match route {
            Some(route) => drop(routes.insert(key, route)),
            None => drop(routes.remove(&key)),
        };
        match scope {
            Scope::Everywhere => self.everywhere = route.unwrap_or_default(),
            Scope::Workspace(name) => set(&mut self.workspaces, name, route),
            Scope::Site(site) => set(&mut self.sites, site.host().to_owned(), route),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;

    #[test]
    fn the_closest_choice_holds() {
        let route = |text: &str| text.parse::<Route>().unwrap();
        let host =
            |url: &str, workspace: &str| HostKey { site: Site::of(url).unwrap(), workspace: workspace.to_owned() };
        let mut settings = RouteSettings::default();
        settings.choose(Scope::Everywhere, Some(route("tor")));
        settings.choose(Scope::Workspace("bank".to_owned()), Some(route("direct")));
        settings.choose(Scope::Site(Site::of("https://www.example.org/x").unwrap()), Some(route("block")));
        assert_eq!(settings.of(&host("https://a.test/", "")), &route("tor"));
        assert_eq!(settings.of(&host("https://a.test/", "bank")), &route("direct"));
        assert_eq!(settings.of(&host("https://example.org/", "bank")), &route("block"));
        assert_eq!(settings.of(&host("http://example.org/", "bank")), &route("block"), "its other scheme");
        settings.choose(Scope::Site(Site::of("https://example.org/").unwrap()), None);
        settings.choose(Scope::Workspace("bank".to_owned()), None);
        settings.choose(Scope::Everywhere, None);
        assert_eq!(settings, RouteSettings::default());
    }
}
