-- One row a customer known at the cutoff. It reads the past alone: what lies before the cutoff's local midnight. Ages
-- are quarters of an hour (96 a day) where whole ones are enough, else days.
WITH activity AS (
  SELECT past_activity.*, cutoff.slot - past_activity.slot AS age
  FROM past_activity
  CROSS JOIN cutoff
  WHERE customer_id IS NOT NULL
),
actions AS (
  SELECT
    past_actions.*,
    event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' AS sold,
    CAST((epoch(cutoff.at) - epoch(event_time)) / 86400.0 AS DOUBLE) AS age
  FROM past_actions
  CROSS JOIN cutoff
  WHERE customer_id IS NOT NULL
),
behaviour AS (
  SELECT
    customer_id,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    max(last_view_at) AS last_view_at,
    CAST(sum(events) AS BIGINT) AS events,
    coalesce(CAST(sum(events) FILTER (WHERE age <= 7 * 96) AS BIGINT), 0) AS events_7d,
    coalesce(CAST(sum(events) FILTER (WHERE age > 7 * 96 AND age <= 35 * 96) AS BIGINT), 0) AS events_4w_before,
    CAST(sum(views) AS BIGINT) AS views,
    coalesce(CAST(sum(views) FILTER (WHERE age <= 96) AS BIGINT), 0) AS views_1d,
    coalesce(CAST(sum(views) FILTER (WHERE age <= 3 * 96) AS BIGINT), 0) AS views_3d,
    coalesce(CAST(sum(views) FILTER (WHERE age <= 7 * 96) AS BIGINT), 0) AS views_7d,
    coalesce(CAST(sum(views) FILTER (WHERE age <= 14 * 96) AS BIGINT), 0) AS views_14d,
    coalesce(CAST(sum(views) FILTER (WHERE age <= 30 * 96) AS BIGINT), 0) AS views_30d,
    CAST(sum(priced_views) AS BIGINT) AS priced_views,
    sum(viewed_price) AS viewed_price,
    max(highest_viewed_price) AS highest_viewed_price,
    CAST(sum(discounted_views) AS BIGINT) AS discounted_views
  FROM activity
  GROUP BY customer_id
),
visits AS (
  SELECT
    session_id,
    min(customer_id) AS customer_id,
    min(age) AS age,
    max(last_at) AS last_at,
    min(platform) AS platform
  FROM activity
  GROUP BY session_id
),
histories AS (
  SELECT
    customer_id,
    count(*) AS sessions,
    count(*) FILTER (WHERE age <= 96) AS sessions_1d,
    count(*) FILTER (WHERE age <= 3 * 96) AS sessions_3d,
    count(*) FILTER (WHERE age <= 7 * 96) AS sessions_7d,
    count(*) FILTER (WHERE age <= 14 * 96) AS sessions_14d,
    count(*) FILTER (WHERE age <= 30 * 96) AS sessions_30d
  FROM visits
  GROUP BY customer_id
),
used AS (
  SELECT customer_id, platform
  FROM visits
  WHERE platform IS NOT NULL
  GROUP BY customer_id, platform
),
platforms AS (
  SELECT customer_id, count(*) AS platforms
  FROM used
  GROUP BY customer_id
),
last_visits AS (
  SELECT visits.customer_id, max(session_id) AS session_id
  FROM visits
  JOIN behaviour ON behaviour.customer_id = visits.customer_id AND behaviour.last_at = visits.last_at
  GROUP BY visits.customer_id
),
last_circumstances AS (
  SELECT
    last_visits.customer_id,
    min(platform) AS platform,
    min(device) AS device,
    min(channel) AS channel,
    min(region) AS region
  FROM last_visits
  JOIN activity ON activity.session_id = last_visits.session_id
  GROUP BY last_visits.customer_id
),
days AS (
  SELECT
    customer_id,
    calendar.day,
    min(calendar.weekday) AS weekday,
    min(age) AS age,
    sum(events) AS events,
    sum(events) FILTER (WHERE calendar.hour < 6) AS night_events,
    sum(events) FILTER (WHERE calendar.hour >= 6 AND calendar.hour < 12) AS morning_events,
    sum(events) FILTER (WHERE calendar.hour >= 18) AS evening_events
  FROM activity
  JOIN calendar ON calendar.slot = activity.slot
  GROUP BY customer_id, calendar.day
),
hours AS (
  SELECT
    customer_id,
    count(*) AS active_days,
    count(*) FILTER (WHERE age <= 7 * 96) AS active_days_7d,
    count(*) FILTER (WHERE age <= 30 * 96) AS active_days_30d,
    coalesce(CAST(sum(night_events) AS BIGINT), 0) AS night_events,
    coalesce(CAST(sum(morning_events) AS BIGINT), 0) AS morning_events,
    coalesce(CAST(sum(evening_events) AS BIGINT), 0) AS evening_events,
    coalesce(CAST(sum(events) FILTER (WHERE weekday >= 6) AS BIGINT), 0) AS weekend_events
  FROM days
  GROUP BY customer_id
),
choices AS (
  SELECT
    customer_id,
    min(age) FILTER (WHERE event_type = 'cart') AS days_since_cart,
    min(age) FILTER (WHERE event_type = 'remove_from_cart') AS days_since_removal,
    min(age) FILTER (WHERE event_type = 'other') AS days_since_signal,
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
    sum(amount) AS revenue,
    sum(amount) FILTER (WHERE age <= 1) AS revenue_1d,
    sum(amount) FILTER (WHERE age <= 3) AS revenue_3d,
    sum(amount) FILTER (WHERE age <= 7) AS revenue_7d,
    sum(amount) FILTER (WHERE age <= 14) AS revenue_14d,
    sum(amount) FILTER (WHERE age <= 30) AS revenue_30d,
    CAST(sum(quantity) FILTER (WHERE sold) AS BIGINT) AS units,
    count(*) FILTER (WHERE sold AND discount > 0) AS discounted_purchases
  FROM actions
  GROUP BY customer_id
),
tills AS (
  SELECT
    customer_id,
    session_id,
    bool_or(event_type = 'cart') AS carted,
    coalesce(sum(CASE WHEN sold THEN quantity END), 0) > 0 AS ordered,
    min(CASE WHEN sold THEN event_time END) AS ordered_at,
    min(CASE WHEN sold THEN age END) AS age
  FROM actions
  GROUP BY customer_id, session_id
),
orders AS (
  SELECT
    customer_id,
    count(*) FILTER (WHERE carted) AS sessions_with_cart,
    count(*) FILTER (WHERE ordered) AS orders,
    count(*) FILTER (WHERE ordered AND age <= 1) AS orders_1d,
    count(*) FILTER (WHERE ordered AND age <= 3) AS orders_3d,
    count(*) FILTER (WHERE ordered AND age <= 7) AS orders_7d,
    count(*) FILTER (WHERE ordered AND age <= 14) AS orders_14d,
    count(*) FILTER (WHERE ordered AND age <= 30) AS orders_30d,
    min(age) FILTER (WHERE ordered) AS days_since_purchase,
    max(age) FILTER (WHERE ordered) AS days_since_first_purchase
  FROM tills
  GROUP BY customer_id
),
order_days AS (
  SELECT
    customer_id,
    count(DISTINCT calendar.day) AS order_days,
    min(calendar.day) AS first_order_day,
    max(calendar.day) AS last_order_day
  FROM tills
  JOIN calendar ON calendar.slot = floor(epoch(tills.ordered_at) / 900)
  WHERE ordered
  GROUP BY customer_id
),
carts_left AS (
  SELECT actions.customer_id, count(*) AS carts_since_purchase
  FROM actions
  JOIN orders ON orders.customer_id = actions.customer_id
  WHERE event_type = 'cart' AND age < coalesce(days_since_purchase, age + 1)
  GROUP BY actions.customer_id
),
breadth AS (
  SELECT
    customer_id,
    CAST(sum(products) AS BIGINT) AS products,
    CAST(sum(categories) AS BIGINT) AS categories,
    CAST(sum(brands) AS BIGINT) AS brands
  FROM past_discoveries
  GROUP BY customer_id
)
SELECT
  cutoff.cutoff,
  behaviour.customer_id,
  CAST((epoch(cutoff.at) - epoch(first_at)) / 86400.0 AS DOUBLE) AS days_known,
  CAST((epoch(cutoff.at) - epoch(last_at)) / 86400.0 AS DOUBLE) AS days_since_event,
  CAST((epoch(cutoff.at) - epoch(last_view_at)) / 86400.0 AS DOUBLE) AS days_since_view,
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
  coalesce(carts, 0) AS carts,
  coalesce(carts_1d, 0) AS carts_1d,
  coalesce(carts_3d, 0) AS carts_3d,
  coalesce(carts_7d, 0) AS carts_7d,
  coalesce(carts_14d, 0) AS carts_14d,
  coalesce(carts_30d, 0) AS carts_30d,
  coalesce(carts_since_purchase, 0) AS carts_since_purchase,
  coalesce(removals, 0) AS removals,
  coalesce(removals_30d, 0) AS removals_30d,
  coalesce(signals, 0) AS signals,
  coalesce(signals_7d, 0) AS signals_7d,
  coalesce(signals_30d, 0) AS signals_30d,
  coalesce(orders, 0) AS orders,
  coalesce(orders_1d, 0) AS orders_1d,
  coalesce(orders_3d, 0) AS orders_3d,
  coalesce(orders_7d, 0) AS orders_7d,
  coalesce(orders_14d, 0) AS orders_14d,
  coalesce(orders_30d, 0) AS orders_30d,
  coalesce(order_days, 0) AS order_days,
  first_order_day,
  last_order_day,
  coalesce(revenue, 0) AS revenue,
  coalesce(revenue_1d, 0) AS revenue_1d,
  coalesce(revenue_3d, 0) AS revenue_3d,
  coalesce(revenue_7d, 0) AS revenue_7d,
  coalesce(revenue_14d, 0) AS revenue_14d,
  coalesce(revenue_30d, 0) AS revenue_30d,
  coalesce(units, 0) AS units,
  coalesce(discounted_purchases, 0) AS discounted_purchases,
  sessions,
  sessions_1d,
  sessions_3d,
  sessions_7d,
  sessions_14d,
  sessions_30d,
  coalesce(sessions_with_cart, 0) AS sessions_with_cart,
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
  coalesce(platforms, 0) AS platforms,
  last_circumstances.platform,
  last_circumstances.device,
  last_circumstances.channel,
  last_circumstances.region
FROM behaviour
CROSS JOIN cutoff
JOIN histories ON histories.customer_id = behaviour.customer_id
JOIN hours ON hours.customer_id = behaviour.customer_id
JOIN last_circumstances ON last_circumstances.customer_id = behaviour.customer_id
LEFT JOIN platforms ON platforms.customer_id = behaviour.customer_id
LEFT JOIN choices ON choices.customer_id = behaviour.customer_id
LEFT JOIN orders ON orders.customer_id = behaviour.customer_id
LEFT JOIN order_days ON order_days.customer_id = behaviour.customer_id
LEFT JOIN carts_left ON carts_left.customer_id = behaviour.customer_id
LEFT JOIN breadth ON breadth.customer_id = behaviour.customer_id
ORDER BY behaviour.customer_id
