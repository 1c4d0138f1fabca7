-- One row a customer known at the cutoff and a top category they have looked at or bought. It reads the past alone.
SELECT
  cutoff.cutoff,
  customer_id,
  category,
  CAST(sum(views) AS BIGINT) AS views,
  coalesce(CAST(sum(views) FILTER (WHERE cutoff.slot - past_category_activity.slot <= 30 * 96) AS BIGINT), 0)
    AS views_30d,
  CAST(sum(carts) AS BIGINT) AS carts,
  CAST(sum(purchases) AS BIGINT) AS purchases,
  max(last_at) AS last_seen_at,
  max(last_purchase_at) AS last_bought_at
FROM past_category_activity
CROSS JOIN cutoff
WHERE customer_id IS NOT NULL
GROUP BY cutoff.cutoff, customer_id, category
ORDER BY customer_id, category
