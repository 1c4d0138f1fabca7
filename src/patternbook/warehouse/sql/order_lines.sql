-- One row a purchase event. Lines of cancelled orders are marked: they count in revenue, not in orders.
SELECT
  session_id AS order_id,
  row_number() OVER (
    PARTITION BY session_id
    ORDER BY event_time, product_id, price, quantity, amount, event_name, discount
  ) AS line,
  customer_id,
  event_time AS ordered_at,
  product_id,
  price,
  quantity,
  amount,
  discount,
  coalesce(event_name = 'cancellation', false) AS cancelled
FROM actions
WHERE event_type = 'purchase'
ORDER BY order_id, line
