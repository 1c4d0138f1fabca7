-- One row a product that occurs in an event.
WITH behaviour AS (
  SELECT
    product_id,
    count(*) AS events,
    count(*) FILTER (WHERE event_type = 'view') AS views,
    count(*) FILTER (WHERE event_type = 'cart') AS carts,
    count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removals,
    count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
    min(event_time) AS first_seen_at,
    max(event_time) AS last_seen_at,
    min(CASE WHEN price > 0 THEN price END) AS min_price,
    max(price) AS max_price
  FROM events
  WHERE product_id IS NOT NULL
  GROUP BY product_id
),
seen AS (
  SELECT product_id, customer_id
  FROM events
  WHERE event_type = 'view' AND product_id IS NOT NULL AND customer_id IS NOT NULL
  GROUP BY product_id, customer_id
),
audiences AS (
  SELECT product_id, count(*) AS viewers
  FROM seen
  GROUP BY product_id
),
sales AS (
  SELECT
    product_id,
    count(DISTINCT CASE WHEN NOT cancelled THEN customer_id END) AS buyers,
    count(DISTINCT CASE WHEN NOT cancelled THEN order_id END) AS orders,
    CAST(sum(quantity) AS BIGINT) AS units,
    coalesce(sum(amount), 0) AS revenue
  FROM order_lines
  WHERE product_id IS NOT NULL
  GROUP BY product_id
)
SELECT
  behaviour.product_id,
  events,
  views,
  carts,
  removals,
  purchases,
  coalesce(viewers, 0) AS viewers,
  coalesce(buyers, 0) AS buyers,
  coalesce(orders, 0) AS orders,
  coalesce(units, 0) AS units,
  coalesce(revenue, 0) AS revenue,
  first_seen_at,
  last_seen_at,
  min_price,
  max_price,
  CASE
    WHEN min_price IS NOT NULL
      THEN CAST(
        ntile(4) OVER (PARTITION BY min_price IS NULL ORDER BY min_price * max_price, behaviour.product_id) AS INTEGER
      )
  END AS price_quarter
FROM behaviour
LEFT JOIN audiences ON audiences.product_id = behaviour.product_id
LEFT JOIN sales ON sales.product_id = behaviour.product_id
ORDER BY behaviour.product_id
