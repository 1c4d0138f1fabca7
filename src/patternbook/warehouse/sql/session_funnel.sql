-- Sessions by step of the funnel, by groups and by cluster of customers. A session is in a category or price band by
-- the products it deals with, and its steps there are those with such products.
WITH bands AS (
  SELECT product_id, CAST(price_quarter AS VARCHAR) AS part
  FROM product_stats
  WHERE price_quarter IS NOT NULL
),
looks AS (
  SELECT 'session' AS scope, 'all' AS part, session_id, min(first_view_at) AS viewed_at
  FROM activity
  GROUP BY session_id
  UNION ALL
  SELECT 'category' AS scope, category AS part, session_id, min(first_view_at) AS viewed_at
  FROM category_activity
  GROUP BY session_id, category
  UNION ALL
  SELECT 'price' AS scope, part, session_id, min(CASE WHEN event_type = 'view' THEN event_time END) AS viewed_at
  FROM events
  JOIN bands ON bands.product_id = events.product_id
  GROUP BY session_id, part
),
choices AS (
  SELECT
    session_id,
    product_id,
    CASE WHEN event_type = 'cart' THEN event_time END AS carted_at,
    CASE WHEN event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' THEN event_time END AS bought_at
  FROM actions
  WHERE event_type IN ('cart', 'purchase')
),
placed_choices AS (
  SELECT 'session' AS scope, 'all' AS part, session_id, carted_at, bought_at
  FROM choices
  UNION ALL
  SELECT 'category' AS scope, split_part(category_code, '.', 1) AS part, session_id, carted_at, bought_at
  FROM choices
  JOIN products ON products.product_id = choices.product_id
  WHERE category_code IS NOT NULL
  UNION ALL
  SELECT 'price' AS scope, part, session_id, carted_at, bought_at
  FROM choices
  JOIN bands ON bands.product_id = choices.product_id
),
decisions AS (
  SELECT
    scope,
    part,
    session_id,
    min(carted_at) AS carted_at,
    max(carted_at) AS last_carted_at,
    max(bought_at) AS bought_at
  FROM placed_choices
  GROUP BY scope, part, session_id
),
steps AS (
  SELECT
    looks.scope,
    looks.part,
    looks.session_id,
    viewed_at IS NOT NULL AS viewed,
    carted_at IS NOT NULL AS carted,
    bought_at IS NOT NULL AS bought,
    coalesce(viewed_at <= last_carted_at, false) AS viewed_then_carted,
    coalesce(carted_at <= bought_at, false) AS carted_then_bought
  FROM looks
  LEFT JOIN decisions
    ON decisions.scope = looks.scope AND decisions.part = looks.part AND decisions.session_id = looks.session_id
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
visits AS (
  SELECT
    sessions.session_id,
    sessions.customer_id,
    abs(coalesce(sessions.customer_id, sessions.session_id)) % 499 AS cluster,
    sessions.platform,
    CAST(calendar.weekday AS VARCHAR) AS weekday,
    CASE
      WHEN sessions.customer_id IS NULL THEN NULL
      WHEN sessions.started_at = customers.first_event_at THEN 'first visit'
      ELSE 'returning'
    END AS newness
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  LEFT JOIN customers ON customers.customer_id = sessions.customer_id
),
placed AS (
  SELECT
    grouping_name,
    CASE
      WHEN grouping_name = 'platform' THEN visits.platform
      WHEN grouping_name = 'weekday' THEN visits.weekday
      WHEN grouping_name = 'newness' THEN visits.newness
      ELSE part
    END AS group_name,
    cluster,
    customer_id,
    viewed,
    carted,
    bought,
    viewed_then_carted,
    carted_then_bought
  FROM steps
  JOIN groupings ON groupings.of_scope = steps.scope
  JOIN visits ON visits.session_id = steps.session_id
),
people AS (
  SELECT
    grouping_name,
    group_name,
    cluster,
    customer_id,
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
  GROUP BY grouping_name, group_name, cluster, customer_id
)
SELECT
  grouping_name,
  group_name,
  cluster,
  count(customer_id) AS customers,
  count(CASE WHEN carting > 0 THEN customer_id END) AS carters,
  count(CASE WHEN buying > 0 THEN customer_id END) AS buyers,
  CAST(sum(sessions) AS BIGINT) AS sessions,
  CAST(sum(viewing) AS BIGINT) AS viewing,
  CAST(sum(viewing_to_cart) AS BIGINT) AS viewing_to_cart,
  CAST(sum(carting) AS BIGINT) AS carting,
  CAST(sum(carting_to_purchase) AS BIGINT) AS carting_to_purchase,
  CAST(sum(buying) AS BIGINT) AS buying,
  CAST(sum(buying_without_view) AS BIGINT) AS buying_without_view,
  CAST(sum(carting_without_view) AS BIGINT) AS carting_without_view
FROM people
GROUP BY grouping_name, group_name, cluster
ORDER BY grouping_name, group_name, cluster
