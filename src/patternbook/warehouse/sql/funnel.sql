-- Customers by step of the funnel, by their home platform, device, channel and region.
SELECT
  platform,
  device,
  channel,
  region,
  count(*) AS visitors,
  count(*) FILTER (WHERE views > 0) AS viewers,
  count(*) FILTER (WHERE first_view_at <= last_cart_at) AS viewers_to_cart,
  count(*) FILTER (WHERE carts > 0) AS carters,
  count(*) FILTER (WHERE first_cart_at <= last_purchase_at) AS carters_to_purchase,
  count(*) FILTER (WHERE orders > 0) AS buyers,
  count(*) FILTER (WHERE orders > 0 AND carts = 0) AS buyers_without_cart
FROM customers
GROUP BY platform, device, channel, region
ORDER BY platform, device, channel, region
