//! Printing. Pages reach no printer: whatever the page or the user prints is saved as a PDF among the downloads.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use gtk::PrintSettings;
use webkit2gtk::{PrintOperation, PrintOperationExt, WebViewExt};

use super::View;
use super::tools::{MadeFile, ToolError};

/// View that prints, the file that it prints to, and the operation.
type Waiting = (Weak<View>, MadeFile, PrintOperation);

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
        // The engine reports the end of a failed printing, too. The operation is kept until then.
        let waiting = Rc::new(RefCell::new(Some((Rc::downgrade(self), made, operation.clone()))));
        let offer = |waiting: &RefCell<Option<Waiting>>, result| {
            if let Some((view, made, _)) = waiting.take()
                && let Some(view) = view.upgrade()
            {
                view.offer(&made, result);
            }
        };
        let failing = Rc::clone(&waiting);
        operation.connect_failed(move |_, error| offer(&failing, Err(ToolError::Engine(error.clone()))));
        operation.connect_finished(move |_| offer(&waiting, Ok(())));
        operation.print();
    }
}
