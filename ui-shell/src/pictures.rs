//! The tabs' pictures, and the choice of the one to show: always a picture of the site whose address the window shows.
//! A picture must never be shown under another site's address.

use std::collections::HashMap;

use gtk::cairo::{Format, ImageSurface};
use regen_proto::kernel::v1::Tab;

use crate::events::HostId;

/// Maximum number of pictures kept for quick switching.
const KEPT: usize = 8;

/// A tab's picture.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) surface: ImageSurface,
    used: u64,
}

/// The site that the address bar shows for a tab, and the hosts whose pictures may be shown with it.
#[derive(Debug)]
struct Named {
    site: String,
    workspace: String,
    /// Host that now draws the tab.
    host: HostId,
    /// Host that drew the tab before; its picture is shown until the new host has drawn one.
    former: HostId,
}

#[derive(Debug, Default)]
pub(crate) struct Pictures {
    all: HashMap<(u64, HostId), Picture>,
    named: HashMap<u64, Named>,
    clock: u64,
}

impl Pictures {
    /// Updates a tab's site and hosts, and drops pictures that may no longer be shown.
    pub(crate) fn tab_changed(&mut self, tab: &Tab) {
        if tab.keeps_picture {
            return;
        }
        let is_same = |named: &Named| (&named.site, &named.workspace) == (&tab.site, &tab.workspace);
        let before = self.named.get(&tab.id).filter(|named| is_same(named)).map(|named| (named.host, named.former));
        let (host, former) = match before {
            // The host is unchanged, or is gone and will be replaced.
            Some((host, former)) if tab.host == 0 || tab.host == host => (host, former),
            Some((host, _)) => (tab.host, host),
            None => (tab.host, tab.host),
        };
        let named = Named { site: tab.site.clone(), workspace: tab.workspace.clone(), host, former };
        self.named.insert(tab.id, named);
        self.all.retain(|(id, of), _| *id != tab.id || *of == host || *of == former);
        self.drop_former(tab.id);
    }

    pub(crate) fn forget(&mut self, tab: u64) {
        self.named.remove(&tab);
        self.all.retain(|(id, _), _| *id != tab);
    }

    /// Returns the picture that a host draws of a tab, in this size, and whether it was created now.
    pub(crate) fn of(
        &mut self,
        tab: u64,
        host: HostId,
        (width, height): (i32, i32),
    ) -> Result<(&mut Picture, bool), gtk::cairo::Error> {
        self.clock += 1;
        let fits = |picture: &Picture| picture.surface.width() == width && picture.surface.height() == height;
        let is_new = !self.all.get(&(tab, host)).is_some_and(fits);
        if is_new {
            let surface = ImageSurface::create(Format::Rgb24, width, height)?;
            self.all.insert((tab, host), Picture { surface, used: 0 });
            self.drop_former(tab);
            self.evict((tab, host));
        }
        let picture = self.all.get_mut(&(tab, host)).ok_or(gtk::cairo::Error::NoMemory)?;
        picture.used = self.clock;
        Ok((picture, is_new))
    }

    /// Returns the picture to show for a tab.
    pub(crate) fn shown(&self, tab: u64) -> Option<&ImageSurface> {
        let named = self.named.get(&tab)?;
        let picture = self.all.get(&(tab, named.host)).or_else(|| self.all.get(&(tab, named.former)));
        picture.map(|picture| &picture.surface)
    }

    fn drop_former(&mut self, tab: u64) {
        let Some(named) = self.named.get_mut(&tab) else { return };
        if self.all.contains_key(&(tab, named.host)) && named.former != named.host {
            self.all.remove(&(tab, named.former));
            named.former = named.host;
        }
    }

    fn evict(&mut self, newest: (u64, HostId)) {
        let others = self.all.iter().filter(|(key, _)| **key != newest);
        if self.all.len() > KEPT
            && let Some(oldest) = others.min_by_key(|(_, picture)| picture.used).map(|(key, _)| *key)
        {
            self.all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANK: &str = "https://bank.test";
    const EVIL: &str = "https://evil.test";

    fn tab(site: &str, host: HostId, keeps_picture: bool) -> Tab {
        Tab { id: 1, site: site.to_owned(), host, keeps_picture, ..Tab::default() }
    }

    /// Draws a picture as wide as the host's number.
    fn draws(pictures: &mut Pictures, host: HostId) {
        pictures.of(1, host, (i32::try_from(host).unwrap(), 4)).unwrap();
    }

    /// Returns the host whose picture is shown; 0 if none is.
    fn shown(pictures: &Pictures) -> i32 {
        pictures.shown(1).map_or(0, |surface| surface.width())
    }

    #[test]
    fn a_page_stays_until_the_next_one_commits_and_that_one_shows_nothing_under_its_address() {
        let mut pictures = Pictures::default();
        pictures.tab_changed(&tab(BANK, 1, false));
        draws(&mut pictures, 1);
        assert_eq!(shown(&pictures), 1);
        pictures.tab_changed(&tab(EVIL, 2, true));
        draws(&mut pictures, 2);
        assert_eq!(shown(&pictures), 1, "another page is shown under the bank's address");
        pictures.tab_changed(&tab(EVIL, 2, false));
        assert_eq!(shown(&pictures), 2);
        // The bank's picture does not come back when the new host ends.
        pictures.tab_changed(&tab(EVIL, 0, false));
        assert_eq!(shown(&pictures), 2);
        pictures.tab_changed(&tab(BANK, 3, false));
        assert_eq!(shown(&pictures), 0, "another page is shown under the bank's address");
    }

    #[test]
    fn the_picture_of_a_process_that_died_stays_until_the_next_one_draws() {
        let mut pictures = Pictures::default();
        pictures.tab_changed(&tab(BANK, 1, false));
        draws(&mut pictures, 1);
        pictures.tab_changed(&tab(BANK, 0, false));
        pictures.tab_changed(&tab(BANK, 5, false));
        assert_eq!(shown(&pictures), 1);
        draws(&mut pictures, 5);
        assert_eq!(shown(&pictures), 5);
        assert_eq!(pictures.all.len(), 1);
    }

    #[test]
    fn few_pictures_are_kept_and_the_newest_is_one_of_them() {
        let mut pictures = Pictures::default();
        for id in 1..20 {
            pictures.tab_changed(&Tab { id, ..tab(BANK, 1, false) });
            pictures.of(id, 1, (4, 4)).unwrap();
            assert!(pictures.shown(id).is_some());
        }
        assert_eq!(pictures.all.len(), KEPT);
    }
}
