//! What the program says at the end.

use serde::Serialize;

/// The result, as `--json` prints it.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The multibase text of the blob's multihash.
    pub(crate) digest: String,
    /// The key under which the backend has it.
    pub(crate) key: String,
    /// Bytes.
    pub(crate) size: u64,
    /// `memory`, `flatfs` or `s3`, and where.
    pub(crate) backend: String,
    /// Of storing it durably and verified, hashing included.
    pub(crate) put_bytes_per_second: f64,
    /// Of reading it whole, comparing included.
    pub(crate) get_bytes_per_second: f64,
    /// The most memory that the process had resident, in bytes; null where the system does not say.
    pub(crate) peak_memory_bytes: Option<u64>,
    /// Everything read back was equal to the file, byte for byte, and the listing and the deletion
    /// were as they should be.
    pub(crate) verified: bool,
    /// The blob was there before.
    pub(crate) already_there: bool,
    /// The blob was left where it is.
    pub(crate) kept: bool,
    /// What was compared, in words.
    #[serde(skip)]
    pub(crate) steps: Vec<String>,
}

impl Report {
    /// Prints one JSON object or a few sentences on standard output.
    pub(crate) fn print(&self, json: bool) {
        if json {
            match serde_json::to_string(self) {
                Ok(text) => println!("{text}"),
                Err(e) => eprintln!("cannot write JSON: {e}"),
            }
            return;
        }
        println!("digest   {}", self.digest);
        println!("key      {}", self.key);
        println!("size     {} bytes", self.size);
        println!("backend  {}", self.backend);
        println!("put      {}", speed(self.put_bytes_per_second));
        println!("get      {}", speed(self.get_bytes_per_second));
        if let Some(peak) = self.peak_memory_bytes {
            println!(
                "memory   {:.1} MiB at most",
                peak as f64 / (1024.0 * 1024.0)
            );
        }
        println!();
        for step in &self.steps {
            println!("{step}");
        }
        println!(
            "{}",
            if self.verified {
                "Everything matched."
            } else {
                "NOT EVERYTHING MATCHED."
            }
        );
    }
}

fn speed(bytes_per_second: f64) -> String {
    format!("{:.1} MB/s", bytes_per_second / 1e6)
}

/// The process's high-water mark of resident memory, in bytes.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}
