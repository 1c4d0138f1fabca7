-- One row a session.
SELECT
  session_id,
  min(customer_id) AS customer_id,
  min(first_at) AS started_at,
  max(last_at) AS ended_at,
  CAST(sum(events) AS BIGINT) AS events,
  CAST(sum(views) AS BIGINT) AS views,
  CAST(sum(carts) AS BIGINT) AS carts,
  CAST(sum(removals) AS BIGINT) AS removals,
  CAST(sum(purchases) AS BIGINT) AS purchases,
  sum(revenue) AS revenue,
  min(platform) AS platform,
  min(device) AS device,
  min(channel) AS channel,
  min(region) AS region
FROM activity
GROUP BY session_id
ORDER BY session_id
