-- One row a customer known at the cutoff. It reads `past` alone, the events before the cutoff's local midnight.
WITH aged AS (
  SELECT
    customer_id,
    session_id,
    product_id,
    event_time,
    event_type,
    price,
    amount,
    quantity,
    platform,
    device,
    channel,
    region,
    discount,
    event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' AS sold,
    CAST((epoch(cutoff.at) - epoch(event_time)) / 86400.0 AS DOUBLE) AS age
  FROM past
  CROSS JOIN cutoff
  WHERE customer_id IS NOT NULL
),
behaviour AS (
  SELECT
    customer_id,
    max(age) AS days_known,
    min(age) AS days_since_event,
    min(age) FILTER (WHERE event_type = 'view') AS days_since_view,
    min(age) FILTER (WHERE event_type = 'cart') AS days_since_cart,
    min(age) FILTER (WHERE event_type = 'remove_from_cart') AS days_since_removal,
    min(age) FILTER (WHERE event_type = 'other') AS days_since_signal,
    count(*) AS events,
    count(*) FILTER (WHERE age <= 7) AS events_7d,
    count(*) FILTER (WHERE age > 7 AND age <= 35) AS events_4w_before,
    count(*) FILTER (WHERE event_type = 'view') AS views,
    count(*) FILTER (WHERE event_type = 'view' AND age <= 1) AS views_1d,
    count(*) FILTER (WHERE event_type = 'view' AND age <= 3) AS views_3d,
    count(*) FILTER (WHERE event_type = 'view' AND age <= 7) AS views_7d,
    count(*) FILTER (WHERE event_type = 'view' AND age <= 14) AS views_14d,
    count(*) FILTER (WHERE event_type = 'view' AND age <= 30) AS views_30d,
    count(*) FILTER (WHERE event_type = 'cart') AS carts,
    count(*) FILTER (WHERE event_type = 'cart' AND age <= 1) AS carts_1d,
    count(*) FILTER (WHERE event_type = 'cart' AND age <= 3) AS carts_3d,
    count(*) FILTER (WHERE event_type = 'cart' AND age <= 7) AS carts_7d,
    count(*) FILTER (WHERE event_type = 'cart' AND age <= 14) AS carts_14d,
    count(*) FILTER (WHERE event_type = 'cart' AND age <= 30) AS carts_30d,
    count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removals,
    count(*) FILTER (WHERE event_type = 'remove_from_cart' AND age <= 30) AS removals_30d,
    count(*) FILTER (WHERE event_type = 'other') AS signals,
    count(*) FILTER (WHERE event_type = 'other' AND age <= 7) AS signals_7d,
    count(*) FILTER (WHERE event_type = 'other' AND age <= 30) AS signals_30d,
    coalesce(sum(amount), 0) AS revenue,
    coalesce(sum(amount) FILTER (WHERE age <= 1), 0) AS revenue_1d,
    coalesce(sum(amount) FILTER (WHERE age <= 3), 0) AS revenue_3d,
    coalesce(sum(amount) FILTER (WHERE age <= 7), 0) AS revenue_7d,
    coalesce(sum(amount) FILTER (WHERE age <= 14), 0) AS revenue_14d,
    coalesce(sum(amount) FILTER (WHERE age <= 30), 0) AS revenue_30d,
    count(price) FILTER (WHERE event_type = 'view' AND price > 0) AS priced_views,
    coalesce(sum(price) FILTER (WHERE event_type = 'view' AND price > 0), 0) AS viewed_price,
    max(price) FILTER (WHERE event_type = 'view') AS highest_viewed_price,
    count(*) FILTER (WHERE event_type = 'view' AND discount > 0) AS discounted_views,
    CAST(coalesce(sum(quantity) FILTER (WHERE sold), 0) AS BIGINT) AS units,
    count(*) FILTER (WHERE sold AND discount > 0) AS discounted_purchases
  FROM aged
  GROUP BY customer_id
),
visits AS (
  SELECT
    customer_id,
    session_id,
    min(age) AS age,
    bool_or(event_type = 'cart') AS carted,
    coalesce(sum(CASE WHEN sold THEN quantity END), 0) > 0 AS ordered,
    min(CASE WHEN sold THEN event_time END) AS ordered_at,
    min(CASE WHEN sold THEN age END) AS order_age,
    min(platform) AS platform,
    min(device) AS device,
    min(channel) AS channel,
    min(region) AS region
  FROM aged
  GROUP BY customer_id, session_id
),
numbered AS (
  SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY age, session_id DESC) AS place
  FROM visits
),
histories AS (
  SELECT
    customer_id,
    count(*) AS sessions,
    count(*) FILTER (WHERE age <= 1) AS sessions_1d,
    count(*) FILTER (WHERE age <= 3) AS sessions_3d,
    count(*) FILTER (WHERE age <= 7) AS sessions_7d,
    count(*) FILTER (WHERE age <= 14) AS sessions_14d,
    count(*) FILTER (WHERE age <= 30) AS sessions_30d,
    count(*) FILTER (WHERE carted) AS sessions_with_cart,
    count(*) FILTER (WHERE ordered) AS orders,
    count(*) FILTER (WHERE ordered AND order_age <= 1) AS orders_1d,
    count(*) FILTER (WHERE ordered AND order_age <= 3) AS orders_3d,
    count(*) FILTER (WHERE ordered AND order_age <= 7) AS orders_7d,
    count(*) FILTER (WHERE ordered AND order_age <= 14) AS orders_14d,
    count(*) FILTER (WHERE ordered AND order_age <= 30) AS orders_30d,
    min(order_age) FILTER (WHERE ordered) AS days_since_purchase,
    max(order_age) FILTER (WHERE ordered) AS days_since_first_purchase,
    count(DISTINCT platform) AS platforms,
    max(CASE WHEN place = 1 THEN platform END) AS platform,
    max(CASE WHEN place = 1 THEN device END) AS device,
    max(CASE WHEN place = 1 THEN channel END) AS channel,
    max(CASE WHEN place = 1 THEN region END) AS region
  FROM numbered
  GROUP BY customer_id
),
order_days AS (
  SELECT
    customer_id,
    count(DISTINCT calendar.day) AS order_days,
    min(calendar.day) AS first_order_day,
    max(calendar.day) AS last_order_day
  FROM visits
  JOIN calendar ON calendar.slot = floor(epoch(visits.ordered_at) / 900)
  WHERE ordered
  GROUP BY customer_id
),
carts_left AS (
  SELECT aged.customer_id, count(*) AS carts_since_purchase
  FROM aged
  JOIN histories ON histories.customer_id = aged.customer_id
  WHERE event_type = 'cart' AND age < coalesce(days_since_purchase, age + 1)
  GROUP BY aged.customer_id
),
hours AS (
  SELECT
    customer_id,
    count(DISTINCT calendar.day) AS active_days,
    count(DISTINCT CASE WHEN age <= 7 THEN calendar.day END) AS active_days_7d,
    count(DISTINCT CASE WHEN age <= 30 THEN calendar.day END) AS active_days_30d,
    count(*) FILTER (WHERE calendar.hour < 6) AS night_events,
    count(*) FILTER (WHERE calendar.hour >= 6 AND calendar.hour < 12) AS morning_events,
    count(*) FILTER (WHERE calendar.hour >= 18) AS evening_events,
    count(*) FILTER (WHERE calendar.weekday >= 6) AS weekend_events
  FROM aged
  JOIN calendar ON calendar.slot = floor(epoch(aged.event_time) / 900)
  GROUP BY customer_id
),
looked_at AS (
  SELECT customer_id, product_id
  FROM aged
  WHERE product_id IS NOT NULL
  GROUP BY customer_id, product_id
),
breadth AS (
  SELECT
    customer_id,
    count(*) AS products,
    count(DISTINCT split_part(category_code, '.', 1)) AS categories,
    count(DISTINCT brand) AS brands
  FROM looked_at
  JOIN products ON products.product_id = looked_at.product_id
  GROUP BY customer_id
)
SELECT
  cutoff.cutoff,
  behaviour.customer_id,
  days_known,
  days_since_event,
  days_since_view,
  days_since_cart,
  days_since_removal,
  days_since_signal,
  days_since_purchase,
  days_since_first_purchase,
  events,
  events_7d,
  events_4w_before,
  views,
  views_1d,
  views_3d,
  views_7d,
  views_14d,
  views_30d,
  carts,
  carts_1d,
  carts_3d,
  carts_7d,
  carts_14d,
  carts_30d,
  coalesce(carts_since_purchase, 0) AS carts_since_purchase,
  removals,
  removals_30d,
  signals,
  signals_7d,
  signals_30d,
  orders,
  orders_1d,
  orders_3d,
  orders_7d,
  orders_14d,
  orders_30d,
  coalesce(order_days, 0) AS order_days,
  first_order_day,
  last_order_day,
  revenue,
  revenue_1d,
  revenue_3d,
  revenue_7d,
  revenue_14d,
  revenue_30d,
  units,
  discounted_purchases,
  sessions,
  sessions_1d,
  sessions_3d,
  sessions_7d,
  sessions_14d,
  sessions_30d,
  sessions_with_cart,
  active_days,
  active_days_7d,
  active_days_30d,
  priced_views,
  viewed_price,
  highest_viewed_price,
  discounted_views,
  coalesce(products, 0) AS products,
  coalesce(categories, 0) AS categories,
  coalesce(brands, 0) AS brands,
  night_events,
  morning_events,
  evening_events,
  weekend_events,
  platforms,
  platform,
  device,
  channel,
  region
FROM behaviour
CROSS JOIN cutoff
JOIN histories ON histories.customer_id = behaviour.customer_id
JOIN hours ON hours.customer_id = behaviour.customer_id
LEFT JOIN order_days ON order_days.customer_id = behaviour.customer_id
LEFT JOIN carts_left ON carts_left.customer_id = behaviour.customer_id
LEFT JOIN breadth ON breadth.customer_id = behaviour.customer_id
ORDER BY behaviour.customer_id
