-- One row a pair of products, categories or brands that enough baskets hold both of. Only items that are in enough
-- baskets themselves are joined, and only within baskets that are not too large: a basket of n products has
-- n (n - 1) / 2 pairs, however popular they are.
WITH counted AS (
  SELECT basket_id, customer_id, baskets.product_id, category_code, brand, units
  FROM baskets
  JOIN products ON products.product_id = baskets.product_id
  CROSS JOIN basket_rules
  WHERE baskets.products BETWEEN 2 AND largest
),
named AS (
  SELECT 'product' AS level, CAST(product_id AS VARCHAR) AS item, basket_id, customer_id, units
  FROM counted
  UNION ALL
  SELECT 'category' AS level, category_code AS item, basket_id, min(customer_id) AS customer_id, sum(units) AS units
  FROM counted
  WHERE category_code IS NOT NULL
  GROUP BY category_code, basket_id
  UNION ALL
  SELECT 'brand' AS level, brand AS item, basket_id, min(customer_id) AS customer_id, sum(units) AS units
  FROM counted
  WHERE brand IS NOT NULL
  GROUP BY brand, basket_id
),
frequent AS (
  SELECT named.level, named.item, basket_id, customer_id, named.units
  FROM named
  JOIN items ON items.level = named.level AND items.item = named.item
  CROSS JOIN basket_rules
  WHERE items.baskets >= minimum_baskets
),
together AS (
  SELECT
    a.level,
    a.item AS item_a,
    b.item AS item_b,
    count(*) AS baskets,
    count(DISTINCT a.customer_id) + count(*) - count(a.customer_id) AS customers,
    CAST(sum(a.units) AS BIGINT) AS units_a,
    CAST(sum(b.units) AS BIGINT) AS units_b
  FROM frequent AS a
  JOIN frequent AS b ON a.basket_id = b.basket_id AND a.level = b.level AND a.item < b.item
  GROUP BY a.level, a.item, b.item
)
SELECT level, item_a, item_b, baskets, customers, units_a, units_b
FROM together
CROSS JOIN basket_rules
WHERE baskets >= minimum_together
ORDER BY level, item_a, item_b
