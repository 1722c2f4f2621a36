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
        let Some(made) = self.reserve("pdf") else { return };
        let settings = PrintSettings::new();
        // GTK's internal name, which is not translated.
        settings.set_printer("Print to File");
        settings.set("output-uri", Some(&format!("file://{}", made.path.display())));
        settings.set("output-file-format", Some("pdf"));
        operation.set_print_settings(&settings);
        let (view, made, kept) = (Rc::clone(self), Rc::new(made), operation.clone());
        let (failed_view, not_made) = (Rc::clone(self), Rc::clone(&made));
        operation.connect_failed(move |_, error| failed_view.offer(&not_made, Err(error.to_string())));
        operation.connect_finished(move |_| {
            // Keeps the operation alive until it has finished.
            let _ = &kept;
            view.offer(&made, Ok(()));
        });
        operation.print();
    }
}
