fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rustc-env=DEVRES_TRACER_EBPF_OBJECT={root}/ebpf/devres-tracer-probes.x86_64.o");
}
