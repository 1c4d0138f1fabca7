-- One row a customer who does more than a person can, whether or not they are excluded. What that is, bot_rules says.
WITH busy AS (
  SELECT customer_id, count(*) AS events
  FROM observed
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id
),
suspects AS (
  SELECT customer_id, events
  FROM busy
  CROSS JOIN bot_rules
  WHERE events > least(events_a_day, events_in_all)
),
days AS (
  SELECT observed.customer_id, calendar.day, count(*) AS events
  FROM observed
  JOIN suspects ON suspects.customer_id = observed.customer_id
  JOIN calendar ON calendar.slot = floor(epoch(observed.event_time) / 900)
  GROUP BY observed.customer_id, calendar.day
),
added AS (
  SELECT
    customer_id,
    CAST(sum(events) AS BIGINT) AS events,
    max(events) AS busiest_day,
    count(*) AS active_days
  FROM days
  GROUP BY customer_id
)
SELECT customer_id, events, busiest_day, active_days
FROM added
CROSS JOIN bot_rules
WHERE busiest_day > bot_rules.events_a_day OR events > bot_rules.events_in_all
ORDER BY customer_id
