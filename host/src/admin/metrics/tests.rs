use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::table::Kind;
use super::*;
use crate::admin::testing::Stage;
use crate::introducer::Counter;
use crate::serve::AskedPolicy;

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/monitoring")
}

#[tokio::test]
async fn every_documented_metric_is_produced_with_its_labels_and_no_other() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    stage.answer();
    let text = render(&stage.rooms.inspector, Format::OpenMetrics).await;
    assert!(text.ends_with("# EOF\n"));
    let mut described = BTreeSet::new();
    for metric in table::all() {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
        assert!(described.insert(metric.name.clone()), "{} is there twice", metric.name);
        let name = metric.full_name();
        let sample = text
            .lines()
            .find(|line| line.starts_with(&name) && [' ', '{'].contains(&line.as_bytes()[name.len()].into()));
        let sample = sample.unwrap_or_else(|| panic!("{name} is not produced"));
        for label in metric.labels {
            assert!(sample.contains(&format!("{label}=\"")), "{sample}");
        }
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(described.contains(name), "{name} is not documented");
    }
}

#[tokio::test]
async fn values_are_those_of_each_worker_and_policy() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    stage.client("rtmfp://host/other", 1, 2);
    stage.answer();
    stage.services.counters.worker(0).add_many(Counter::Lookups, 5);
    stage.services.counters.worker(1).add_many(Counter::Lookups, 7);
    let latencies = &stage.services.latencies;
    latencies.record(AskedPolicy::Script, Duration::from_millis(3));
    latencies.record(AskedPolicy::Plugin("a\"b"), Duration::from_secs(60));
    latencies.handshakes.record(Duration::from_micros(100));
    let text = render(&stage.rooms.inspector, Format::OpenMetrics).await;
    for line in [
        "introd_rtmfp_lookups_total{worker=\"0\"} 5",
        "introd_rtmfp_lookups_total{worker=\"1\"} 7",
        "introd_clients 2",
        "introd_peers 2",
        "introd_instances 2",
        "introd_application_clients{application=\"\"} 2",
        "introd_worker_up{worker=\"1\"} 1",
        "introd_sessions{worker=\"0\"} 3",
        "introd_datagrams_total{worker=\"0\"} 21",
        "introd_decision_seconds_bucket{le=\"0.0025\",policy=\"script\"} 0",
        "introd_decision_seconds_bucket{le=\"0.005\",policy=\"script\"} 1",
        "introd_decision_seconds_bucket{le=\"+Inf\",policy=\"plugin a\\\"b\"} 1",
        "introd_decision_seconds_bucket{le=\"5.0\",policy=\"plugin a\\\"b\"} 0",
        "introd_decision_seconds_sum{policy=\"script\"} 0.003",
        "introd_decision_seconds_count{policy=\"registry\"} 0",
        "introd_handshake_seconds_bucket{le=\"0.0001\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_answer_is_down_and_the_rest_is_told() {
    let stage = Stage::new(|_| ());
    let text = render(&stage.rooms.inspector, Format::Text).await;
    assert!(text.contains("introd_worker_up{worker=\"0\"} 0\n") && text.contains("introd_clients 0\n"), "{text}");
    assert!(!text.contains("introd_sessions{"));
}

#[test]
fn in_the_text_format_counters_are_described_under_their_whole_names() {
    let text = "# HELP a Of a.\n# TYPE a counter\na_total 1\n# HELP b Of b.\n# TYPE b gauge\nb 2\n# EOF\n";
    let expected = "# HELP a_total Of a.\n# TYPE a_total counter\na_total 1\n# HELP b Of b.\n# TYPE b gauge\nb 2\n";
    assert_eq!(to_text_format(text), expected);
}

#[test]
fn the_table_of_the_metrics_is_that_of_the_code() {
    let mut expected = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for metric in table::all() {
        let name = if metric.kind == Kind::Counter { metric.full_name() } else { metric.name.to_string() };
        let (kind, labels) = (format!("{:?}", metric.kind).to_lowercase(), metric.labels.join(", "));
        let _ = writeln!(expected, "| `{name}` | {kind} | {labels} | {} |", metric.meaning);
    }
    let path = monitoring().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let start = readme.find("| metric |").unwrap_or(readme.len());
    if std::env::var_os("INTROD_BLESS").is_some() {
        std::fs::write(&path, format!("{}{expected}", &readme[..start])).unwrap();
        return;
    }
    assert_eq!(&readme[start..], expected, "run the tests once with INTROD_BLESS=1 and look at what changed");
}

#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_there_are() {
    let known: BTreeSet<String> = table::all()
        .iter()
        .flat_map(|metric| match metric.kind {
            Kind::Histogram => ["bucket", "sum", "count"].map(|end| format!("{}_{end}", metric.name)).to_vec(),
            _ => vec![metric.full_name()],
        })
        .collect();
    for file in ["alerts.yml", "dashboard.json"] {
        let text = std::fs::read_to_string(monitoring().join(file)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named: BTreeSet<&str> = words.filter(|word| word.starts_with("introd_")).collect();
        assert!(named.len() > 5, "{file} names {named:?}");
        for name in named {
            assert!(known.contains(name), "{file} names {name}");
        }
    }
    let dashboard = std::fs::read_to_string(monitoring().join("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().iter().all(|panel| panel["targets"][0]["expr"].is_string()));
}
