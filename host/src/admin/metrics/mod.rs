//! What Prometheus reads at `/metrics`. `table` has the metrics by name, `gather` their values.

mod gather;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::inspector::Inspector;
use crate::serve::BOUNDS;
use gather::{Family, Value, gather};
use table::Kind;

/// A format of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Text,
}

impl Format {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The values of all metrics now.
pub(super) async fn render(inspector: &Inspector, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(gather(inspector).await)));
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = encode(&mut text, &registry);
    match format {
        Format::OpenMetrics => text,
        Format::Text => to_text_format(&text),
    }
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { metric, samples } in &self.0 {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut family = encoder.encode_descriptor(&metric.name, &metric.meaning, None, kind)?;
            for (values, value) in samples {
                let labels: Vec<(&str, &str)> =
                    metric.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                let mut sample = family.encode_family(&labels)?;
                match (value, metric.kind) {
                    (Value::Whole(value), Kind::Counter) => {
                        sample.encode_counter::<[(&str, &str); 0], _, u64>(value, None)?;
                    }
                    (Value::Number(value), Kind::Counter) => {
                        sample.encode_counter::<[(&str, &str); 0], _, u64>(value, None)?;
                    }
                    (Value::Whole(value), _) => sample.encode_gauge(value)?,
                    (Value::Number(value), _) => sample.encode_gauge(value)?,
                    (Value::Histogram(counts), _) => {
                        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
                        let buckets: Vec<(f64, u64)> = bounds.zip(counts.counts).collect();
                        let total = counts.counts.iter().sum();
                        sample.encode_histogram::<[(&str, &str); 0]>(
                            counts.sum.as_secs_f64(),
                            total,
                            &buckets,
                            None,
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// In the older format a counter is described under its whole name, and nothing marks the end.
fn to_text_format(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().filter(|line| *line != "# EOF").peekable();
    while let Some(line) = lines.next() {
        match (line.strip_prefix("# HELP "), lines.peek().and_then(|next| next.strip_prefix("# TYPE "))) {
            (Some(help), Some(kind)) => {
                let (name, meaning) = help.split_once(' ').unwrap_or((help, ""));
                let kind = kind.rsplit(' ').next().unwrap_or_default();
                let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
                out += &format!("# HELP {name} {meaning}\n# TYPE {name} {kind}\n");
                lines.next();
            }
            _ => {
                out += line;
                out.push('\n');
            }
        }
    }
    out
}
