//! Tools for pages: the window's and the hosts' messages.

use regen_proto::kernel::v1::{PageArea as WireArea, PageTool as WireTool, UseTool};

use crate::window::commands::{PageArea, PageTool};

/// Returns the tool that the user chose; `None` for none, or an area that is none.
pub(super) fn tool(used: UseTool) -> Option<PageTool> {
    let area = used.area.map(|WireArea { x, y, width, height }| PageArea { x, y, width, height });
    let is_area =
        |area: &PageArea| [area.x, area.y].into_iter().all(f64::is_finite) && area.width >= 1.0 && area.height >= 1.0;
    Some(match used.tool() {
        WireTool::Print => PageTool::Print,
        WireTool::Save => PageTool::Save,
        WireTool::Picture if area.as_ref().is_none_or(is_area) => PageTool::Picture(area),
        WireTool::WholePicture => PageTool::WholePicture,
        WireTool::Inspect => PageTool::Inspect,
        WireTool::Reader => PageTool::Reader,
        WireTool::Source => PageTool::Source,
        WireTool::Caret => PageTool::Caret,
        WireTool::Picture | WireTool::Unspecified => return None,
    })
}

/// Returns the message with which a host uses a tool.
pub(super) fn use_tool(tool: PageTool) -> UseTool {
    let (tool, area) = match tool {
        PageTool::Print => (WireTool::Print, None),
        PageTool::Save => (WireTool::Save, None),
        PageTool::Picture(area) => (WireTool::Picture, area),
        PageTool::WholePicture => (WireTool::WholePicture, None),
        PageTool::Inspect => (WireTool::Inspect, None),
        PageTool::Reader => (WireTool::Reader, None),
        PageTool::Source => (WireTool::Source, None),
        PageTool::Caret => (WireTool::Caret, None),
    };
    let area = area.map(|PageArea { x, y, width, height }| WireArea { x, y, width, height });
    UseTool { tool: tool.into(), area }
}
