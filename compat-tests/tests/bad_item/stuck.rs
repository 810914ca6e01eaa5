//! An item of background work that always fails: the others are done, and it is named until it is mended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use juststorage_compat_tests::{Content, Database, Options, Server, disk, on_both_databases, wait};
use reqwest::StatusCode;
use serde_json::Value;

on_both_databases!(a_file_that_cannot_be_removed, a_damaged_blob_in_a_sparse_pack);

/// Removes nothing that is not there: a directory lies where the segment was, so that `unlink` always fails.
async fn a_file_that_cannot_be_removed(database: Database) {
    let mut server = Server::start(database).await;
    let native = server.native();
    let gauge = "activestorage_stuck_items{worker=\"gc\"}";
    let text = native.request(reqwest::Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(
        text.lines().any(|line| line == format!("{gauge} 0")),
        "the gauge is there from the start: {text}"
    );
    let keys = ["bad", "second", "third"];
    for (seed, key) in (1..).zip(keys) {
        native.put("n", key, Content::new(seed, 2 << 20).bytes()).await;
    }
    server.stop().await;
    let file = file_of(server.data(), &Content::new(1, 2 << 20).bytes());
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("inside"), "x").unwrap();
    server.resume().await;
    let native = server.native();
    for key in keys {
        assert_eq!(native.delete("n", key).await, StatusCode::NO_CONTENT);
    }
    server.stop().await;
    server.run_ok(&["gc"]);
    let item = format!("segment:{}", file.file_stem().unwrap().to_str().unwrap());
    let stuck = stuck(&server);
    assert_eq!(
        stuck.iter().map(|(worker, item, _)| (worker.as_str(), item.as_str())).collect::<Vec<_>>(),
        [("gc", &*item)]
    );
    assert_eq!(server.data_files(), [(file.join("inside"), 1)], "the files of the others are gone");
    server.resume().await;
    assert!((server.native().metric("activestorage_stuck_items").await - 1.0).abs() < 0.5);

    // Mended, and asked for.
    std::fs::remove_dir_all(&file).unwrap();
    assert_eq!(server.run(&["stuck", "retry", "segment:none"]).status.code(), Some(1));
    server.run_ok(&["stuck", "retry", &item]);
    wait::until("the item is done", Duration::from_secs(60), async || {
        server.run_ok(&["gc"]);
        self::stuck(&server).is_empty().then_some(())
    })
    .await;
    assert!(server.native().metric("activestorage_stuck_items").await.abs() < 0.5);
    println!(
        "B10 stuck ({database:?}): 1 file that cannot be removed: 2 of 2 others removed, named once, gone when mended"
    );
    server.assert_nothing_left().await;
}

/// Of three sparse packs the one that holds a damaged blob is named, and the other two are emptied.
async fn a_damaged_blob_in_a_sparse_pack(database: Database) {
    // A pass of the server's own would be gone on with, behind the damage perhaps.
    let settings = vec![("JUSTSTORAGE_SCRUB_EVERY", "0s".to_owned())];
    let mut server = Server::start_with(database, Options { settings, ..Options::default() }).await;
    for pack in 1..=3 {
        if pack > 1 {
            server.resume().await;
        }
        let native = server.native();
        native.put("n", &format!("keep{pack}"), keep(pack).bytes()).await;
        native.put("n", &format!("drop{pack}"), Content::new(10 + pack, 60_000).bytes()).await;
        // Stopping seals the pack.
        server.stop().await;
    }
    let file = file_of(server.data(), &keep(1).bytes());
    let mut bytes = std::fs::read(&file).unwrap();
    let (whole, wanted) = (bytes.clone(), keep(1).bytes());
    let at = whole.windows(64).position(|window| window == &wanted[500..564]).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(server.run(&["scrub"]).status.code(), Some(1), "the damage is found");
    server.resume().await;
    let native = server.native();
    for pack in 1..=3 {
        assert_eq!(native.delete("n", &format!("drop{pack}")).await, StatusCode::NO_CONTENT);
    }
    server.stop().await;
    let done: Value = serde_json::from_str(&server.run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(done["compacted"], 2, "{done}");
    let segment = format!("segment:{}", file.file_stem().unwrap().to_str().unwrap());
    let stuck = stuck(&server);
    assert!(stuck.iter().any(|(worker, item, _)| worker == "compaction" && *item == segment), "{stuck:?}");
    println!("B10 stuck ({database:?}): 1 damaged blob: 2 of 2 other packs compacted");

    // The file restored: the pack is emptied like the others.
    std::fs::write(&file, &whole).unwrap();
    server.run_ok(&["scrub"]);
    server.run_ok(&["stuck", "retry", "--all"]);
    let done: Value = serde_json::from_str(&server.run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(done["compacted"], 1, "{done}");
    assert_eq!(self::stuck(&server), []);
    server.resume().await;
    for pack in 1..=3 {
        assert_eq!(server.native().read("n", &format!("keep{pack}")).await, keep(pack).bytes());
    }
}

fn keep(pack: u64) -> Content {
    Content::new(pack, 3000)
}

/// Worker, item and error of all that is stuck.
fn stuck(server: &Server) -> Vec<(String, String, String)> {
    let list: Vec<Value> = serde_json::from_str(&server.run_ok(&["stuck", "--json"])).unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    list.iter().map(|row| (text(row, "worker"), text(row, "item"), text(row, "error"))).collect()
}

/// The data file that holds `content`.
fn file_of(data: &Path, content: &[u8]) -> PathBuf {
    let piece = &content[100..164];
    let holds = |path: &PathBuf| std::fs::read(path).unwrap().windows(64).any(|window| window == piece);
    let files = disk::files(&data.join("hot")).into_iter().map(|(path, _)| path);
    files.into_iter().find(holds).expect("a file holds the content")
}
