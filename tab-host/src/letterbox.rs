//! Page sizes under strict shields: few are left, so that a window's size tells little.

/// Returns the largest of few sizes that fits, which tells a page little about the window.
pub(crate) fn letterboxed(width: u32, height: u32) -> (u32, u32) {
    let whole = |size: u32, step: u32| if size < step { size } else { size - size % step };
    (whole(width, 200), whole(height, 100))
}
