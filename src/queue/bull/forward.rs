//! Fairness in a queue that hands out jobs first come, first served: behind a flood of some
//! automations' jobs, those of all others are brought forward, to the front of their peers. That is
//! what BullMQ's own change of priority does with a job that is to be the first of its priority; no
//! job goes before one that is more urgent, and none changes its state.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::heartbeat::Heartbeat;
use crate::queue::MOST_BYTES;

/// Between looks at what waits.
const EVERY: Duration = Duration::from_secs(2);
/// More jobs than this of one automation among the next are a flood; of one that is brought forward,
/// so many are at once.
const OF_ONE_AUTOMATION: usize = 4;
/// So many jobs are looked at by one command, and in all.
const CHUNK: usize = 1000;
const MOST_LOOKED_AT: usize = 20_000;
/// So many jobs are brought forward at once.
const MOST_BROUGHT: usize = 128;

/// Ids and automations of waiting jobs, the next first.
const LOOK: &str = r"
local from, to, ids = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
if ARGV[1] == 'wait' then
  local found = redis.call('LRANGE', KEYS[1], -to - 1, -from - 1)
  for place = #found, 1, -1 do ids[#ids + 1] = found[place] end
else
  ids = redis.call('ZRANGE', KEYS[2], from, to)
end
local told = {}
for _, id in ipairs(ids) do
  local key, automation = ARGV[4] .. id, ''
  if redis.call('HSTRLEN', key, 'data') <= tonumber(ARGV[5]) then
    local read, data = pcall(cjson.decode, redis.call('HGET', key, 'data') or '')
    if read and type(data) == 'table' and type(data.automationId) == 'string' then
      automation = data.automationId
    end
  end
  told[#told + 1] = id
  told[#told + 1] = automation
end
return told";

/// Brings jobs to the front of those of their priority; not in a paused queue, and not what was taken
/// meanwhile. The last comes to be the first.
const BRING: &str = r"
if redis.call('HEXISTS', KEYS[3], 'paused') == 1 then return 0 end
local brought = 0
for place = 2, #ARGV do
  local id = ARGV[place]
  if ARGV[1] == 'wait' then
    if redis.call('LREM', KEYS[1], 1, id) == 1 then
      redis.call('RPUSH', KEYS[1], id)
      brought = brought + 1
    end
  else
    local score = redis.call('ZSCORE', KEYS[2], id)
    if score then
      redis.call('ZADD', KEYS[2], math.floor(tonumber(score) / 4294967296) * 4294967296, id)
      brought = brought + 1
    end
  end
end
return brought";

/// Where jobs wait: without a priority, and with one.
const LISTS: [&str; 2] = ["wait", "prioritized"];

/// When what waits was last looked at.
#[derive(Default)]
pub(super) struct Forward {
    looked_at: Option<Duration>,
}

impl Forward {
    /// Brings forward what is to be, now and then; `take` jobs are in hand at most. A Redis that does
    /// not answer is no concern of this.
    pub(super) async fn beat(&mut self, heartbeat: &mut Heartbeat, take: usize, now: Duration) {
        if self.looked_at.is_some_and(|at| now < at + EVERY) {
            return;
        }
        self.looked_at = Some(now);
        for list in LISTS {
            match bring_forward(heartbeat, list, take).await {
                Ok(0) => {}
                Ok(brought) => tracing::debug!(list, brought, "jobs were brought forward"),
                Err(_) => return,
            }
        }
    }
}

async fn bring_forward(
    heartbeat: &mut Heartbeat,
    list: &str,
    take: usize,
) -> Result<usize, String> {
    let next = look(heartbeat, list, 0, take).await?;
    if next.len() < take || !is_flooded(&next) {
        return Ok(0);
    }
    let mut others = Others::behind(&next);
    let mut from = take;
    while from < MOST_LOOKED_AT && others.ids.len() < MOST_BROUGHT {
        let chunk = look(heartbeat, list, from, CHUNK).await?;
        from += CHUNK;
        let last = chunk.len() < CHUNK;
        for job in chunk {
            others.add(job);
        }
        if last {
            break;
        }
    }
    if others.ids.is_empty() {
        return Ok(0);
    }
    let mut bring = heartbeat.eval(BRING);
    bring.arg(list);
    for id in others.ids.iter().rev() {
        bring.arg(id);
    }
    heartbeat.ask(&bring).await
}

/// Id and automation of a job; no automation where it cannot be read.
type Seen = (String, String);

async fn look(
    heartbeat: &mut Heartbeat,
    list: &str,
    from: usize,
    count: usize,
) -> Result<Vec<Seen>, String> {
    let mut look = heartbeat.eval(LOOK);
    look.arg(list).arg(from).arg(from + count.max(1) - 1);
    look.arg(heartbeat.jobs()).arg(MOST_BYTES);
    let told: Vec<String> = heartbeat.ask(&look).await?;
    let pairs = told.chunks_exact(2);
    Ok(pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect())
}

fn is_flooded(next: &[Seen]) -> bool {
    let mut counts = HashMap::new();
    for (_, automation) in next {
        *counts.entry(automation).or_insert(0_usize) += 1;
    }
    counts.values().any(|count| *count > OF_ONE_AUTOMATION)
}

/// Jobs of automations that have none among the next.
struct Others<'n> {
    next: HashSet<&'n str>,
    counts: HashMap<String, usize>,
    ids: Vec<String>,
}

impl<'n> Others<'n> {
    fn behind(next: &'n [Seen]) -> Self {
        Self {
            next: next
                .iter()
                .map(|(_, automation)| automation.as_str())
                .collect(),
            counts: HashMap::new(),
            ids: vec![],
        }
    }

    fn add(&mut self, (id, automation): Seen) {
        let crowds = automation.is_empty() || self.next.contains(automation.as_str());
        if crowds || self.ids.len() == MOST_BROUGHT {
            return;
        }
        let count = self.counts.entry(automation).or_default();
        if *count < OF_ONE_AUTOMATION {
            *count += 1;
            self.ids.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: usize, automation: &str) -> Seen {
        (id.to_string(), automation.to_owned())
    }

    #[test]
    fn a_few_of_each_other_automation_are_brought_forward() {
        let next: Vec<_> = (0..8).map(|id| job(id, ["a", "b"][id % 2])).collect();
        assert!(!is_flooded(&next));
        let next: Vec<_> = (0..10).map(|id| job(id, ["a", "b"][id % 2])).collect();
        assert!(is_flooded(&next));
        let mut others = Others::behind(&next);
        for id in 10..20 {
            others.add(job(id, ["a", "c"][id % 2]));
        }
        others.add(job(20, ""));
        others.add(job(21, "d"));
        assert_eq!(others.ids, ["11", "13", "15", "17", "21"]);
        for id in 100..1000 {
            others.add(job(id, &id.to_string()));
        }
        assert_eq!(others.ids.len(), MOST_BROUGHT);
    }
}
