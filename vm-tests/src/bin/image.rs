//! Writes the appliance's image: `image OUT`, a folder that gets `vmlinuz` and `evms.cpio`. `../../build.sh image` runs it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use vm_tests::image::Image;
use vm_tests::parts::Parts;
use vm_tests::trouble::Trouble;

fn main() -> ExitCode {
    let Some(out) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: image OUT");
        return ExitCode::from(2);
    };
    match write(&out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("image: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn write(out: &Path) -> Result<(), Trouble> {
    let parts = Parts::find()?;
    fs::create_dir_all(out).map_err(Trouble::file("making", out))?;
    let image = out.join("evms.cpio");
    let bytes = Image::appliance(&parts)?.pack()?;
    fs::write(&image, &bytes).map_err(Trouble::file("writing", &image))?;
    let kernel = out.join("vmlinuz");
    fs::copy(&parts.kernel, &kernel).map_err(Trouble::file("copying", &kernel))?;
    println!(
        "{}: {} bytes; {}: a kernel that it was made for",
        image.display(),
        bytes.len(),
        kernel.display()
    );
    Ok(())
}
