-- Sessions by step of the funnel, by groups and by cluster of customers. A session is in a category or price band by
-- the products it deals with, and its steps there are those with such products.
WITH steps AS (
  SELECT
    'session' AS scope,
    'all' AS part,
    session_id,
    min(CASE WHEN event_type = 'view' THEN event_time END) AS viewed_at,
    min(CASE WHEN event_type = 'cart' THEN event_time END) AS carted_at,
    max(CASE WHEN event_type = 'cart' THEN event_time END) AS last_carted_at,
    max(
      CASE WHEN event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' THEN event_time END
    ) AS bought_at
  FROM events
  GROUP BY session_id
  UNION ALL
  SELECT
    'category' AS scope,
    split_part(category_code, '.', 1) AS part,
    session_id,
    min(CASE WHEN event_type = 'view' THEN event_time END) AS viewed_at,
    min(CASE WHEN event_type = 'cart' THEN event_time END) AS carted_at,
    max(CASE WHEN event_type = 'cart' THEN event_time END) AS last_carted_at,
    max(
      CASE WHEN event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' THEN event_time END
    ) AS bought_at
  FROM events
  JOIN products ON products.product_id = events.product_id
  WHERE category_code IS NOT NULL
  GROUP BY split_part(category_code, '.', 1), session_id
  UNION ALL
  SELECT
    'price' AS scope,
    CAST(price_quarter AS VARCHAR) AS part,
    session_id,
    min(CASE WHEN event_type = 'view' THEN event_time END) AS viewed_at,
    min(CASE WHEN event_type = 'cart' THEN event_time END) AS carted_at,
    max(CASE WHEN event_type = 'cart' THEN event_time END) AS last_carted_at,
    max(
      CASE WHEN event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' THEN event_time END
    ) AS bought_at
  FROM events
  JOIN product_stats ON product_stats.product_id = events.product_id
  WHERE price_quarter IS NOT NULL
  GROUP BY price_quarter, session_id
),
groupings AS (
  SELECT 'all' AS grouping_name, 'session' AS of_scope
  UNION ALL
  SELECT 'platform' AS grouping_name, 'session' AS of_scope
  UNION ALL
  SELECT 'newness' AS grouping_name, 'session' AS of_scope
  UNION ALL
  SELECT 'weekday' AS grouping_name, 'session' AS of_scope
  UNION ALL
  SELECT 'category' AS grouping_name, 'category' AS of_scope
  UNION ALL
  SELECT 'price' AS grouping_name, 'price' AS of_scope
),
placed AS (
  SELECT
    grouping_name,
    CASE
      WHEN grouping_name = 'platform' THEN sessions.platform
      WHEN grouping_name = 'weekday' THEN CAST(calendar.weekday AS VARCHAR)
      WHEN grouping_name <> 'newness' THEN part
      WHEN sessions.customer_id IS NULL THEN NULL
      WHEN sessions.started_at = customers.first_event_at THEN 'first visit'
      ELSE 'returning'
    END AS group_name,
    abs(coalesce(sessions.customer_id, sessions.session_id)) % 499 AS cluster,
    sessions.customer_id,
    viewed_at IS NOT NULL AS viewed,
    carted_at IS NOT NULL AS carted,
    bought_at IS NOT NULL AS bought,
    coalesce(viewed_at <= last_carted_at, false) AS viewed_then_carted,
    coalesce(carted_at <= bought_at, false) AS carted_then_bought
  FROM steps
  JOIN groupings ON groupings.of_scope = steps.scope
  JOIN sessions ON sessions.session_id = steps.session_id
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  LEFT JOIN customers ON customers.customer_id = sessions.customer_id
)
SELECT
  grouping_name,
  group_name,
  cluster,
  count(DISTINCT customer_id) AS customers,
  count(DISTINCT CASE WHEN carted THEN customer_id END) AS carters,
  count(DISTINCT CASE WHEN bought THEN customer_id END) AS buyers,
  count(*) AS sessions,
  count(CASE WHEN viewed THEN 1 END) AS viewing,
  count(CASE WHEN viewed_then_carted THEN 1 END) AS viewing_to_cart,
  count(CASE WHEN carted THEN 1 END) AS carting,
  count(CASE WHEN carted_then_bought THEN 1 END) AS carting_to_purchase,
  count(CASE WHEN bought THEN 1 END) AS buying,
  count(CASE WHEN bought AND NOT viewed THEN 1 END) AS buying_without_view,
  count(CASE WHEN carted AND NOT viewed_then_carted THEN 1 END) AS carting_without_view
FROM placed
WHERE group_name IS NOT NULL
GROUP BY grouping_name, group_name, cluster
ORDER BY grouping_name, group_name, cluster
