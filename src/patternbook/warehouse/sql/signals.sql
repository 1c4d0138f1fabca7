-- Actions in a session before its first purchase, by what they are and by cluster of customers.
WITH actions AS (
  SELECT
    session_id,
    CASE WHEN event_type = 'other' THEN coalesce(event_name, 'other') ELSE event_type END AS action,
    min(event_time) AS happened_at
  FROM actions
  WHERE event_type IN ('other', 'cart', 'remove_from_cart')
  GROUP BY session_id, CASE WHEN event_type = 'other' THEN coalesce(event_name, 'other') ELSE event_type END
),
bought AS (
  SELECT order_id AS session_id, min(ordered_at) AS ordered_at
  FROM order_lines
  WHERE NOT cancelled
  GROUP BY order_id
),
looked AS (
  SELECT events.session_id, max(event_time) AS last_view_at
  FROM events
  JOIN bought ON bought.session_id = events.session_id AND events.event_time <= bought.ordered_at
  WHERE event_type = 'view'
  GROUP BY events.session_id
)
SELECT
  action,
  abs(coalesce(sessions.customer_id, sessions.session_id)) % 499 AS cluster,
  count(DISTINCT sessions.customer_id) AS customers,
  count(DISTINCT CASE WHEN ordered_at IS NOT NULL THEN sessions.customer_id END) AS buyers,
  count(*) AS sessions,
  count(ordered_at) AS buying,
  count(CASE WHEN ordered_at IS NOT NULL AND coalesce(last_view_at <= happened_at, true) THEN 1 END) AS at_purchase
FROM actions
JOIN sessions ON sessions.session_id = actions.session_id
LEFT JOIN bought ON bought.session_id = actions.session_id
LEFT JOIN looked ON looked.session_id = actions.session_id
WHERE ordered_at IS NULL OR happened_at <= ordered_at
GROUP BY action, abs(coalesce(sessions.customer_id, sessions.session_id)) % 499
ORDER BY action, cluster
