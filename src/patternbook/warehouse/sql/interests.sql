-- One row a customer known at the cutoff and a top category they have looked at or bought. It reads `past` alone.
SELECT
  cutoff.cutoff,
  customer_id,
  split_part(category_code, '.', 1) AS category,
  count(*) FILTER (WHERE event_type = 'view') AS views,
  count(*) FILTER (WHERE event_type = 'view' AND epoch(cutoff.at) - epoch(event_time) <= 30 * 86400) AS views_30d,
  count(*) FILTER (WHERE event_type = 'cart') AS carts,
  count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
  max(event_time) AS last_seen_at,
  max(event_time) FILTER (WHERE event_type = 'purchase') AS last_bought_at
FROM past
CROSS JOIN cutoff
JOIN products ON products.product_id = past.product_id
WHERE customer_id IS NOT NULL AND category_code IS NOT NULL
GROUP BY cutoff.cutoff, customer_id, split_part(category_code, '.', 1)
ORDER BY customer_id, category
