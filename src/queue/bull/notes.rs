//! Why an attempt failed, as Node workers write it down and dashboards show it. The crate notes the
//! reason of the last attempt only, and no stack.

use bullmq::redis_connection::RedisConnection;

/// Attempts whose reasons are kept, the latest.
const MOST_REASONS: usize = 20;
/// Longer reasons are cut: they may quote what came from elsewhere.
const LONGEST_REASON: usize = 2000;

/// Notes a reason in a job's hash, if that is still there.
const NOTE: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local read, reasons = pcall(cjson.decode, redis.call('HGET', KEYS[1], 'stacktrace') or '[]')
if not read or type(reasons) ~= 'table' then reasons = {} end
table.insert(reasons, ARGV[1])
while #reasons > tonumber(ARGV[2]) do table.remove(reasons, 1) end
redis.call('HSET', KEYS[1], 'failedReason', ARGV[1], 'stacktrace', cjson.encode(reasons))
return 1";

/// Notes why an attempt of the job failed.
pub(super) async fn note(
    connection: &RedisConnection,
    job_key: &str,
    reason: &str,
) -> bullmq::Result<()> {
    let mut noted = redis::cmd("EVAL");
    noted.arg(NOTE).arg(1).arg(job_key);
    noted.arg(reason).arg(MOST_REASONS);
    connection.cmd::<i64>(&mut noted).await.map(|_| ())
}

/// The reason as it is stored.
pub(super) fn cut(reason: &str) -> String {
    reason.chars().take(LONGEST_REASON).collect()
}
