//! What came of lookups: what was decided, whether peers met, and which did not.

use serde_json::{Map, Value, json};

use super::events::{id, text};
use super::paging::read_limit;
use super::{Answer, Ask};
use crate::admin::calendar::Rfc3339;
use crate::meetings::advice::advice;
use crate::meetings::{LookupAnswer, PairCount};
use crate::stories::{Event, EventKind, Stories};

impl Ask<'_> {
    /// How many peers met, by the kinds of NAT of both, and the pairs that did not meet, the newest last.
    pub(super) fn introductions(&self) -> Answer {
        let limit = read_limit(self.query)?;
        let services = &self.inspector.services;
        let outcomes: Map<String, Value> = services
            .meetings
            .outcomes()
            .into_iter()
            .map(|(outcome, count)| (outcome.name().to_owned(), count.into()))
            .collect();
        let pairs: Vec<Value> = services.meetings.pairs().iter().map(pair).collect();
        let unmet = services.stories.unmet(limit);
        Ok(json!({
            "outcomes": outcomes,
            "under_way": services.meetings.under_way(),
            "not_followed": services.meetings.not_followed(),
            "pairs": pairs,
            "unmet": unmet.iter().filter_map(|event| describe(&services.stories, event)).collect::<Vec<_>>(),
        }))
    }

    /// What was decided about lookups, by verdict, and by the policy that decided.
    pub(super) fn lookups(&self) -> Value {
        let counts = self.inspector.services.verdicts.totals();
        let mut verdicts = [0; LookupAnswer::ALL.len()];
        let mut policies: Vec<(&str, Map<String, Value>)> = Vec::new();
        for count in &counts {
            verdicts[count.answer as usize] += count.count;
            if policies.last().is_none_or(|(policy, _)| *policy != count.policy) {
                policies.push((&count.policy, Map::new()));
            }
            if let Some((_, of_policy)) = policies.last_mut() {
                of_policy.insert(count.answer.name().to_owned(), count.count.into());
            }
        }
        let verdicts: Map<String, Value> = LookupAnswer::ALL
            .iter()
            .zip(verdicts)
            .map(|(answer, count)| (answer.name().to_owned(), count.into()))
            .collect();
        let policies: Vec<Value> =
            policies.into_iter().map(|(policy, verdicts)| json!({"policy": policy, "verdicts": verdicts})).collect();
        json!({"verdicts": verdicts, "policies": policies})
    }
}

fn pair(count: &PairCount) -> Value {
    json!({
        "asker_nat": count.asker_nat.name(),
        "target_nat": count.target_nat.name(),
        "met": count.met,
        "relayed": count.relayed,
        "repeated": count.repeated,
        "not_met": count.not_met,
    })
}

fn describe(stories: &Stories, event: &Event) -> Option<Value> {
    let EventKind::Unmet { target, times, asker_nat, target_nat, is_over } = &event.kind else { return None };
    Some(json!({
        "at": Rfc3339(stories.time_of(event)).to_string(),
        "asker": id(event.peer.as_ref()),
        "address": text(event.address.as_ref()),
        "target": id(target.as_ref()),
        "asker_nat": asker_nat.name(),
        "target_nat": target_nat.name(),
        "times": times,
        "is_over": is_over,
        "advice": advice(*asker_nat, *target_nat),
    }))
}
