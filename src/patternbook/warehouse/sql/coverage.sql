-- One row a column of events and products: how many events have a value.
WITH filled AS (
  SELECT
    count(*) AS events,
    count(customer_id) AS customer_id,
    count(product_id) AS product_id,
    count(price) AS price,
    count(platform) AS platform,
    count(device) AS device,
    count(channel) AS channel,
    count(region) AS region,
    count(discount) AS discount
  FROM events
),
described AS (
  SELECT
    coalesce(sum(CASE WHEN category_id IS NOT NULL THEN events END), 0) AS category_id,
    coalesce(sum(CASE WHEN category_code IS NOT NULL THEN events END), 0) AS category_code,
    coalesce(sum(CASE WHEN brand IS NOT NULL THEN events END), 0) AS brand,
    coalesce(sum(CASE WHEN name IS NOT NULL THEN events END), 0) AS name
  FROM product_stats
  JOIN products ON products.product_id = product_stats.product_id
),
listed AS (
  SELECT 1 AS position, 'customer_id' AS column_name, events, customer_id AS filled FROM filled
  UNION ALL SELECT 2, 'product_id', events, product_id FROM filled
  UNION ALL SELECT 3, 'category_id', events, described.category_id FROM filled CROSS JOIN described
  UNION ALL SELECT 4, 'category_code', events, described.category_code FROM filled CROSS JOIN described
  UNION ALL SELECT 5, 'brand', events, described.brand FROM filled CROSS JOIN described
  UNION ALL SELECT 6, 'name', events, described.name FROM filled CROSS JOIN described
  UNION ALL SELECT 7, 'price', events, price FROM filled
  UNION ALL SELECT 8, 'platform', events, platform FROM filled
  UNION ALL SELECT 9, 'device', events, device FROM filled
  UNION ALL SELECT 10, 'channel', events, channel FROM filled
  UNION ALL SELECT 11, 'region', events, region FROM filled
  UNION ALL SELECT 12, 'discount', events, discount FROM filled
)
SELECT column_name, CAST(events AS BIGINT) AS events, CAST(filled AS BIGINT) AS filled
FROM listed
ORDER BY position
