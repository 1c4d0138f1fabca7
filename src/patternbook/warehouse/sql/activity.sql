-- One row a session and quarter of an hour: most of what is counted is counted once, here. No window or day begins
-- within a quarter of an hour, in any time zone.
SELECT
  session_id,
  CAST(floor(epoch(event_time) / 900) AS BIGINT) AS slot,
  min(customer_id) AS customer_id,
  min(event_time) AS first_at,
  max(event_time) AS last_at,
  count(*) AS events,
  count(*) FILTER (WHERE event_type = 'view') AS views,
  count(*) FILTER (WHERE event_type = 'cart') AS carts,
  count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removals,
  count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
  coalesce(sum(amount), 0) AS revenue,
  min(event_time) FILTER (WHERE event_type = 'view') AS first_view_at,
  max(event_time) FILTER (WHERE event_type = 'view') AS last_view_at,
  count(price) FILTER (WHERE event_type = 'view' AND price > 0) AS priced_views,
  coalesce(sum(price) FILTER (WHERE event_type = 'view' AND price > 0), 0) AS viewed_price,
  max(price) FILTER (WHERE event_type = 'view') AS highest_viewed_price,
  count(*) FILTER (WHERE event_type = 'view' AND discount > 0) AS discounted_views,
  min(platform) AS platform,
  min(device) AS device,
  min(channel) AS channel,
  min(region) AS region
FROM events
GROUP BY session_id, CAST(floor(epoch(event_time) / 900) AS BIGINT)
ORDER BY session_id, slot
