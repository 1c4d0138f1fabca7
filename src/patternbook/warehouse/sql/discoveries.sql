-- One row a known customer and quarter of an hour in which they first meet a product, a top category or a brand.
WITH met AS (
  SELECT customer_id, product_id, min(CAST(floor(epoch(event_time) / 900) AS BIGINT)) AS slot
  FROM events
  WHERE customer_id IS NOT NULL AND product_id IS NOT NULL
  GROUP BY customer_id, product_id
),
firsts AS (
  SELECT customer_id, slot, 1 AS product, 0 AS category, 0 AS brand
  FROM met
  UNION ALL
  SELECT customer_id, min(slot) AS slot, 0 AS product, 1 AS category, 0 AS brand
  FROM category_activity
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id, category
  UNION ALL
  SELECT customer_id, min(slot) AS slot, 0 AS product, 0 AS category, 1 AS brand
  FROM met
  JOIN products ON products.product_id = met.product_id
  WHERE brand IS NOT NULL
  GROUP BY customer_id, brand
)
SELECT
  customer_id,
  slot,
  CAST(sum(product) AS BIGINT) AS products,
  CAST(sum(category) AS BIGINT) AS categories,
  CAST(sum(brand) AS BIGINT) AS brands
FROM firsts
GROUP BY customer_id, slot
ORDER BY customer_id, slot
