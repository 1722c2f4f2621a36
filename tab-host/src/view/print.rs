//! Printing. Pages reach no printer: whatever the page or the user prints is saved as a PDF among the downloads.

use std::rc::Rc;

use gtk::PrintSettings;
use webkit2gtk::{PrintOperation, PrintOperationExt, WebViewExt};

use super::View;

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_print(move |_, operation| {
        if let Some(view) = weak.upgrade() {
            view.print_with(operation);
        }
        true
    });
}

impl View {
    pub(super) fn print(self: &Rc<Self>) {
        self.print_with(&PrintOperation::new(&self.web));
    }

    fn print_with(self: &Rc<Self>, operation: &PrintOperation) {
        let Some(host) = self.host() else { return };
        let (number, path) = match crate::downloads::destination::reserve() {
            Ok(reserved) => reserved,
            Err(error) => {
                tracing::error!("cannot print a page: {error}");
                return;
            }
        };
        let settings = PrintSettings::new();
        // GTK's internal name, which is not translated.
        settings.set_printer("Print to File");
        settings.set("output-uri", Some(&format!("file://{}", path.display())));
        settings.set("output-file-format", Some("pdf"));
        operation.set_print_settings(&settings);
        let title = self.web.title().filter(|title| !title.is_empty());
        let name = format!("{}.pdf", title.as_deref().unwrap_or("page"));
        let url = self.loader.committed.borrow().clone();
        let (tab, kept) = (self.id.get(), operation.clone());
        operation.connect_finished(move |_| {
            // Keeps the operation alive until it has finished.
            let _ = &kept;
            host.downloads().made(tab, number, &url, &name);
        });
        operation.connect_failed(|_, error| tracing::warn!("printing a page failed: {error}"));
        operation.print();
    }
}
