//! A [`Setup`] for an initramfs: shell scripts that put the recording [`script`] where the tools
//! that make one look for it, so that recording begins before udev loads the first driver. What was begun there goes on
//! when the real root is mounted: the kernel records, and nothing is handed over.

use super::{Setup, script::script};

/// Ends the text that is written to a file.
const END: &str = "END_OF_DEVRES_SCRIPT";

/// For initramfs-tools, as Debian and Ubuntu have it. Its scripts are run in the order of their names where none asks
/// for another, and `udev` is one of them.
#[must_use]
pub fn initramfs_tools(setup: &Setup) -> String {
    let script = script(setup);
    let body = script.strip_prefix("#!/bin/sh\n").unwrap_or(&script);
    // Run as a script of its own, and asked for what must be run before it.
    let prologue = "#!/bin/sh\nif [ \"$1\" = prereqs ]; then\n\texit 0\nfi\n";
    let target = "/etc/initramfs-tools/scripts/init-top/00-devres";
    format!(
        "#!/bin/sh\n# Run once as root; removed by: rm {target} && update-initramfs -u\nset -e\n{}\nupdate-initramfs -u\n",
        file(target, &format!("{prologue}{body}"))
    )
}

/// For dracut, as Fedora and others have it: a module whose hook runs before udev is started.
#[must_use]
pub fn dracut(setup: &Setup) -> String {
    let directory = "/usr/lib/dracut/modules.d/90devres";
    let module = "#!/bin/bash\ncheck() {\n\treturn 0\n}\n\ninstall() {\n\tinst_multiple mount mkdir cat\n\tinst_hook pre-udev 00 \"$moddir/record.sh\"\n}\n";
    // dracut reads its hooks into its own shell: an `exit` in it would end that.
    let script = script(setup);
    let hook = format!("#!/bin/sh\n(\n{}\n)\n", script.trim_end());
    format!(
        "#!/bin/sh\n# Run once as root; removed by: rm -r {directory} && dracut -f\nset -e\nmkdir -p {directory}\n{}\n{}\ndracut -f\n",
        file(&format!("{directory}/module-setup.sh"), module),
        file(&format!("{directory}/record.sh"), &hook),
    )
}

/// Shell that writes an executable file.
fn file(path: &str, content: &str) -> String {
    format!("cat >{path} <<'{END}'\n{content}{END}\nchmod +x {path}")
}
