-- One row a session.
SELECT
  session_id,
  min(customer_id) AS customer_id,
  min(event_time) AS started_at,
  max(event_time) AS ended_at,
  count(*) AS events,
  count(*) FILTER (WHERE event_type = 'view') AS views,
  count(*) FILTER (WHERE event_type = 'cart') AS carts,
  count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removals,
  count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
  coalesce(sum(amount), 0) AS revenue,
  min(platform) AS platform,
  min(device) AS device,
  min(channel) AS channel,
  min(region) AS region
FROM events
GROUP BY session_id
ORDER BY session_id
