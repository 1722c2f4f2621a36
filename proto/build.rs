//! Compiles `schema/` with a compiler written in Rust, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "kernel/v1/kernel.proto",
        "downloads/v1/downloads.proto",
        "page/v1/page.proto",
        "net/v1/net.proto",
        "places/v1/places.proto",
        "settings/v1/settings.proto",
        "workspaces/v1/workspaces.proto",
        "permissions/v1/permissions.proto",
        "health/v1/health.proto",
        "control/v1/control.proto",
        "launcher/v1/launcher.proto",
    ];
    println!("cargo:rerun-if-changed=schema");
    let schema = protox::compile(files, ["schema"])?;
    tonic_prost_build::configure()
        .bytes(".regen.net.v1")
        .bytes(".regen.kernel.v1.Load")
        .bytes(".regen.page.v1.Cursor")
        .bytes(".regen.page.v1.ClipboardPicture")
        .compile_fds(schema)?;
    Ok(())
}
