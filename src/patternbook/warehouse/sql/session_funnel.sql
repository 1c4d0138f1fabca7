-- Sessions and customers by step of the funnel, by groups and by cluster of customers. A session is in a category or
-- price band by the products it deals with, and its steps there are those with such products. Groups are numbers until
-- the last step, as names are dear to join and to group by. A place is what products belong to: 0 all, above it a
-- category, below it a price quarter.
WITH categories AS (
  SELECT category, CAST(row_number() OVER (ORDER BY category) AS INTEGER) AS place
  FROM (SELECT DISTINCT split_part(category_code, '.', 1) AS category FROM products WHERE category_code IS NOT NULL)
    AS named
),
platforms AS (
  SELECT platform, CAST(row_number() OVER (ORDER BY platform) AS INTEGER) AS number
  FROM (SELECT DISTINCT platform FROM sessions WHERE platform IS NOT NULL) AS named
),
belongings AS (
  SELECT product_id, place
  FROM products
  JOIN categories ON categories.category = split_part(category_code, '.', 1)
  UNION ALL
  SELECT product_id, -price_quarter AS place
  FROM product_stats
  WHERE price_quarter IS NOT NULL
),
looks AS (
  SELECT 0 AS place, session_id, min(first_view_at) AS viewed_at
  FROM activity
  GROUP BY session_id
  UNION ALL
  SELECT place, session_id, min(first_view_at) AS viewed_at
  FROM category_activity
  JOIN categories ON categories.category = category_activity.category
  GROUP BY session_id, place
  UNION ALL
  SELECT place, session_id, min(CASE WHEN event_type = 'view' THEN event_time END) AS viewed_at
  FROM events
  JOIN belongings ON belongings.product_id = events.product_id
  WHERE place < 0
  GROUP BY session_id, place
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
  SELECT 0 AS place, session_id, carted_at, bought_at
  FROM choices
  UNION ALL
  SELECT place, session_id, carted_at, bought_at
  FROM choices
  JOIN belongings ON belongings.product_id = choices.product_id
),
decisions AS (
  SELECT
    place,
    session_id,
    min(carted_at) AS carted_at,
    max(carted_at) AS last_carted_at,
    max(bought_at) AS bought_at
  FROM placed_choices
  GROUP BY place, session_id
),
groupings AS (
  SELECT 1 AS kind, 'all' AS grouping_name
  UNION ALL
  SELECT 2 AS kind, 'platform' AS grouping_name
  UNION ALL
  SELECT 3 AS kind, 'newness' AS grouping_name
  UNION ALL
  SELECT 4 AS kind, 'weekday' AS grouping_name
  UNION ALL
  SELECT 5 AS kind, 'category' AS grouping_name
  UNION ALL
  SELECT 6 AS kind, 'price' AS grouping_name
),
visits AS (
  SELECT
    sessions.session_id,
    sessions.customer_id,
    abs(coalesce(sessions.customer_id, sessions.session_id)) % 499 AS cluster,
    platforms.number AS platform,
    calendar.weekday,
    CASE
      WHEN sessions.customer_id IS NULL THEN NULL
      WHEN sessions.started_at = customers.first_event_at THEN 1
      ELSE 2
    END AS newness
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  LEFT JOIN customers ON customers.customer_id = sessions.customer_id
  LEFT JOIN platforms ON platforms.platform = sessions.platform
),
steps AS (
  SELECT
    looks.place,
    cluster,
    customer_id,
    platform,
    newness,
    weekday,
    viewed_at,
    carted_at,
    last_carted_at,
    bought_at
  FROM looks
  JOIN visits ON visits.session_id = looks.session_id
  LEFT JOIN decisions ON decisions.session_id = looks.session_id AND decisions.place = looks.place
),
placed AS (
  SELECT
    kind,
    CASE
      WHEN kind = 1 THEN 0
      WHEN kind = 2 THEN platform
      WHEN kind = 3 THEN newness
      WHEN kind = 4 THEN weekday
      ELSE abs(place)
    END AS number,
    cluster,
    customer_id,
    viewed_at,
    carted_at,
    last_carted_at,
    bought_at
  FROM steps
  JOIN groupings
    ON (place = 0 AND kind <= 4) OR (place > 0 AND kind = 5) OR (place < 0 AND kind = 6)
),
people AS (
  SELECT
    kind,
    number,
    cluster,
    customer_id,
    min(viewed_at) AS first_view_at,
    min(carted_at) AS first_cart_at,
    max(last_carted_at) AS last_cart_at,
    max(bought_at) AS last_purchase_at,
    count(*) AS sessions,
    count(viewed_at) AS viewing,
    count(CASE WHEN viewed_at <= last_carted_at THEN 1 END) AS viewing_to_cart,
    count(carted_at) AS carting,
    count(CASE WHEN carted_at <= bought_at THEN 1 END) AS carting_to_purchase,
    count(bought_at) AS buying,
    count(CASE WHEN viewed_at IS NULL THEN bought_at END) AS buying_without_view
  FROM placed
  WHERE number IS NOT NULL
  GROUP BY kind, number, cluster, customer_id
),
totals AS (
  SELECT
    kind,
    number,
    cluster,
    count(customer_id) AS customers,
    count(CASE WHEN first_view_at IS NOT NULL THEN customer_id END) AS viewers,
    count(CASE WHEN first_view_at <= last_cart_at THEN customer_id END) AS viewers_to_cart,
    count(CASE WHEN first_cart_at IS NOT NULL THEN customer_id END) AS carters,
    count(CASE WHEN first_cart_at <= last_purchase_at THEN customer_id END) AS carters_to_purchase,
    count(CASE WHEN last_purchase_at IS NOT NULL THEN customer_id END) AS buyers,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(sum(viewing) AS BIGINT) AS viewing,
    CAST(sum(viewing_to_cart) AS BIGINT) AS viewing_to_cart,
    CAST(sum(carting) AS BIGINT) AS carting,
    CAST(sum(carting_to_purchase) AS BIGINT) AS carting_to_purchase,
    CAST(sum(buying) AS BIGINT) AS buying,
    CAST(sum(buying_without_view) AS BIGINT) AS buying_without_view,
    CAST(sum(carting - viewing_to_cart) AS BIGINT) AS carting_without_view
  FROM people
  GROUP BY kind, number, cluster
)
SELECT
  grouping_name,
  CASE
    WHEN grouping_name = 'all' THEN 'all'
    WHEN grouping_name = 'platform' THEN platforms.platform
    WHEN grouping_name = 'newness' AND totals.number = 1 THEN 'first visit'
    WHEN grouping_name = 'newness' THEN 'returning'
    WHEN grouping_name = 'category' THEN category
    ELSE CAST(totals.number AS VARCHAR)
  END AS group_name,
  cluster,
  customers,
  viewers,
  viewers_to_cart,
  carters,
  carters_to_purchase,
  buyers,
  sessions,
  viewing,
  viewing_to_cart,
  carting,
  carting_to_purchase,
  buying,
  buying_without_view,
  carting_without_view
FROM totals
JOIN groupings ON groupings.kind = totals.kind
LEFT JOIN platforms ON platforms.number = totals.number
LEFT JOIN categories ON categories.place = totals.number
ORDER BY grouping_name, group_name, cluster
