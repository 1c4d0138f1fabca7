-- One row a customer known at the cutoff who buys within the horizon after it: `future_actions` are of that time.
WITH sold AS (
  SELECT
    customer_id,
    session_id,
    min(event_time) AS ordered_at,
    coalesce(sum(amount), 0) AS revenue
  FROM future_actions
  WHERE event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' AND customer_id IS NOT NULL
  GROUP BY customer_id, session_id
  HAVING sum(quantity) > 0
),
known AS (
  SELECT DISTINCT customer_id
  FROM past_activity
  WHERE customer_id IS NOT NULL
),
bought AS (
  SELECT
    sold.customer_id,
    min(ordered_at) AS next_purchase_at,
    count(*) AS orders,
    sum(revenue) AS revenue
  FROM sold
  JOIN known ON known.customer_id = sold.customer_id
  GROUP BY sold.customer_id
),
next_categories AS (
  SELECT bought.customer_id, min(split_part(category_code, '.', 1)) AS next_category
  FROM bought
  JOIN sold ON sold.customer_id = bought.customer_id AND sold.ordered_at = bought.next_purchase_at
  JOIN future_actions ON future_actions.customer_id = sold.customer_id
    AND future_actions.session_id = sold.session_id
    AND future_actions.event_type = 'purchase'
  JOIN products ON products.product_id = future_actions.product_id
  WHERE category_code IS NOT NULL
  GROUP BY bought.customer_id
)
SELECT
  cutoff.cutoff,
  bought.customer_id,
  next_purchase_at,
  CAST((epoch(next_purchase_at) - epoch(cutoff.at)) / 86400.0 AS DOUBLE) AS days_to_purchase,
  orders,
  revenue,
  next_category
FROM bought
CROSS JOIN cutoff
LEFT JOIN next_categories ON next_categories.customer_id = bought.customer_id
ORDER BY bought.customer_id
