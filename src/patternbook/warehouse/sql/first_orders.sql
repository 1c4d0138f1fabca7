-- One row a customer who bought: the way to the first order.
WITH firsts AS (
  SELECT customers.customer_id, first_event_at, first_purchase_at, min(order_lines.order_id) AS order_id
  FROM customers
  JOIN order_lines ON order_lines.customer_id = customers.customer_id
    AND order_lines.ordered_at = customers.first_purchase_at
    AND NOT order_lines.cancelled
  GROUP BY customers.customer_id, first_event_at, first_purchase_at
),
before AS (
  SELECT
    firsts.customer_id,
    count(DISTINCT events.session_id) AS sessions,
    count(CASE WHEN event_type = 'view' THEN 1 END) AS views,
    count(CASE WHEN event_type = 'view' AND events.session_id = firsts.order_id THEN 1 END) AS views_in_session,
    count(CASE WHEN event_type = 'cart' AND events.session_id = firsts.order_id THEN 1 END) AS carts_in_session,
    count(CASE WHEN event_type = 'cart' AND events.session_id <> firsts.order_id THEN 1 END) AS carts_before
  FROM firsts
  JOIN events ON events.customer_id = firsts.customer_id AND events.event_time <= firsts.first_purchase_at
  GROUP BY firsts.customer_id
)
SELECT
  firsts.customer_id,
  firsts.order_id,
  firsts.first_event_at,
  sessions.started_at,
  first_purchase_at AS ordered_at,
  before.sessions,
  before.views,
  views_in_session,
  carts_in_session,
  carts_before
FROM firsts
JOIN before ON before.customer_id = firsts.customer_id
JOIN sessions ON sessions.session_id = firsts.order_id
ORDER BY firsts.customer_id
