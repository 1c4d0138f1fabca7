-- One row a product, category or brand: how many baskets hold it. Baskets too large for pairs are not counted.
WITH named AS (
  SELECT 'product' AS level, CAST(product_id AS VARCHAR) AS item, basket_id, customer_id, units, revenue
  FROM baskets
  CROSS JOIN basket_rules
  WHERE baskets.products <= largest
  UNION ALL
  SELECT 'category' AS level, category_code AS item, basket_id, customer_id, units, revenue
  FROM baskets
  JOIN products ON products.product_id = baskets.product_id
  CROSS JOIN basket_rules
  WHERE baskets.products <= largest AND category_code IS NOT NULL
  UNION ALL
  SELECT 'brand' AS level, brand AS item, basket_id, customer_id, units, revenue
  FROM baskets
  JOIN products ON products.product_id = baskets.product_id
  CROSS JOIN basket_rules
  WHERE baskets.products <= largest AND brand IS NOT NULL
)
SELECT
  level,
  item,
  count(DISTINCT basket_id) AS baskets,
  count(DISTINCT customer_id) + count(DISTINCT CASE WHEN customer_id IS NULL THEN basket_id END) AS customers,
  CAST(sum(units) AS BIGINT) AS units,
  sum(revenue) AS revenue
FROM named
GROUP BY level, item
ORDER BY level, item
